// What is known of a picture, beside the wall and in the lightbox, as the server says it.

import { $, elements, isTyping, withModifier } from "./dom.js";
import { currentWall } from "./grid.js";
import { recall, remember } from "./wall_view.js";

const OPEN = "vitrine-wall-info";
let running = null;
let shownFor = null; // id

/** Put what is known of a picture into a panel; stale answers are dropped. */
export async function showInfo(panel, link) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const url = new URL(link);
  url.pathname += "info/";
  panel.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(url, { signal: mine.signal });
    if (!response.ok || response.redirected) throw new Error("no info");
    panel.replaceChildren(...elements(await response.text()));
  } catch (error) {
    if (error.name === "AbortError") return;
    const note = Object.assign(document.createElement("p"), { className: "soft", textContent: "Nothing can be said of it just now." });
    panel.replaceChildren(note);
  } finally {
    if (running === mine) panel.removeAttribute("aria-busy");
  }
}

const isOpen = () => recall(OPEN) === "yes";

function follow() {
  const panel = $("#wall-info");
  if (!panel || panel.hidden || !currentWall()) return;
  const card = document.activeElement?.closest?.(".card");
  if (!card || card.dataset.assetId === shownFor) return;
  shownFor = card.dataset.assetId;
  showInfo($("#wall-info-body"), $(".card-link", card).href);
}

function set(open) {
  const panel = $("#wall-info");
  if (!panel) return;
  remember(OPEN, open ? "yes" : "no");
  panel.hidden = !open;
  document.documentElement.classList.toggle("has-info", open);
  shownFor = null;
  if (!open) return;
  if (!document.activeElement?.closest?.(".card")) {
    $("#wall-info-body").replaceChildren(Object.assign(document.createElement("p"), { className: "soft", textContent: "Choose a picture." }));
  }
  follow();
}

export function start() {
  document.addEventListener("focusin", follow);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-info-close]")) set(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "i" || !currentWall() || withModifier(event) || isTyping(event) || $("dialog[open]")) return;
    event.preventDefault();
    set($("#wall-info").hidden);
  });
}

export function open() {
  const panel = $("#wall-info");
  shownFor = null;
  document.documentElement.classList.toggle("has-info", Boolean(panel) && isOpen());
  if (panel) set(isOpen());
}
