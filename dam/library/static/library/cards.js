// Cards of pictures as the server draws them now.

import { $, elements } from "./dom.js";

const AT_ONCE = 100; // as many as the server gives

/** The cards of these assets, those that one may see; null if the server did not answer, or one is signed out. */
export async function askCards(ids) {
  const cards = [];
  for (let first = 0; first < ids.length; first += AT_ONCE) {
    const url = new URL($("#tray").dataset.cardsUrl, location.href);
    url.searchParams.set("ids", ids.slice(first, first + AT_ONCE).join(","));
    const response = await fetch(url).catch(() => null);
    if (!response?.ok || response.redirected) return null;
    cards.push(...elements(await response.text()));
  }
  return cards;
}
