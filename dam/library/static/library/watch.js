// Asks after pictures that wait for their tags, all of them with one request, and only while there are any.

import { $, elements } from "./dom.js";

const FIRST_MS = 700;
const SLOWEST_MS = 15000;
const AT_ONCE = 100;
const waiting = new Map(); // id → callbacks
let delay = FIRST_MS;
let timer = null;

/** Call back with the new card of an asset, once it is tagged or failed. */
export function watch(id, callback) {
  const key = String(id);
  const callbacks = waiting.get(key) ?? new Set();
  if (!callbacks.size) delay = FIRST_MS;
  callbacks.add(callback);
  waiting.set(key, callbacks);
  schedule();
}

function schedule() {
  if (timer || !waiting.size || document.hidden) return;
  timer = setTimeout(ask, delay);
}

async function ask() {
  timer = null;
  const ids = [...waiting.keys()].slice(0, AT_ONCE);
  const url = new URL($("#tray").dataset.cardsUrl, location.href);
  url.searchParams.set("ids", ids.join(","));
  url.searchParams.set("settled", "1");
  let settled = [];
  try {
    const response = await fetch(url);
    if (response.redirected) return; // signed out: nothing more to ask
    if (response.ok) settled = elements(await response.text());
  } catch {
    // Offline, or the server restarts: ask again later.
  }
  for (const card of settled) {
    const callbacks = waiting.get(card.dataset.assetId) ?? [];
    waiting.delete(card.dataset.assetId);
    for (const callback of callbacks) callback(card);
  }
  // Those that were asked for go to the end of the line, should there be more than fit into one request.
  for (const id of ids) {
    const callbacks = waiting.get(id);
    if (callbacks && waiting.size > AT_ONCE) {
      waiting.delete(id);
      waiting.set(id, callbacks);
    }
  }
  delay = settled.length ? FIRST_MS : Math.min(SLOWEST_MS, delay * 1.4);
  schedule();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    delay = FIRST_MS;
    schedule();
  }
});
