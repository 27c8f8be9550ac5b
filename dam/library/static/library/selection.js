// Which pictures are selected: by click, with shift for a range, by keys; or all that the search finds.

import { $, $$, announce, isTyping, withModifier } from "./dom.js";
import { cardsOf, currentWall, move } from "./grid.js";

const chosen = new Set(); // ids; in the mode `all`, those that are left out
let all = false;
let anchor = null; // id from which a range reaches
let owner = null; // the wall that the selection belongs to
const listeners = [];

export const onSelection = (listener) => listeners.push(listener);
export const isSelected = (id) => chosen.has(String(id)) !== all;

/** How many are selected; null: all that the search finds, and nobody knows how many. */
export function selectedCount() {
  if (!all) return chosen.size;
  const total = $("[data-count]");
  return total ? Number(total.dataset.count) - chosen.size : null;
}

/** The selection as the API takes it; null if nothing is selected. */
export function selectionBody() {
  if (!all) return chosen.size ? { ids: [...chosen].map(Number) } : null;
  const { query, sort } = owner.dataset;
  return { query, sort, excluded: [...chosen].map(Number) };
}

/** Ids of the selected pictures whose cards are in the page. */
export const shownIds = () => cardsOf().map((card) => card.dataset.assetId).filter(isSelected);

export function clearSelection() {
  chosen.clear();
  all = false;
  anchor = null;
  draw();
}

export function toggle(id, on = !isSelected(id)) {
  claim();
  if (on === all) chosen.delete(String(id));
  else chosen.add(String(id));
  anchor = String(id);
  draw();
}

/** Select all that the search finds, whether or not it is in the page. */
export function selectAll() {
  claim();
  chosen.clear();
  all = true;
  draw();
}

/** Select from the anchor to this picture, and leave everything else as it was. */
export function selectTo(id) {
  claim();
  const ids = cardsOf().map((card) => card.dataset.assetId);
  const from = ids.indexOf(anchor ?? String(id));
  const to = ids.indexOf(String(id));
  const [first, last] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
  for (const each of ids.slice(first, last + 1)) {
    if (all) chosen.delete(each);
    else chosen.add(each);
  }
  anchor ??= String(id);
  draw();
}

/** A selection belongs to one wall: on another one it begins anew. */
function claim() {
  const wall = currentWall();
  if (owner === wall) return;
  owner = wall;
  chosen.clear();
  all = false;
  anchor = null;
}

function draw() {
  const wall = currentWall();
  const bar = $("#selection");
  if (!wall || !bar) return;
  const count = selectedCount();
  const any = owner === wall && (all || count > 0);
  wall.classList.toggle("is-selecting", any);
  for (const card of $$(".card", wall)) {
    const on = any && isSelected(card.dataset.assetId);
    card.classList.toggle("is-selected", on);
    const box = $("[data-select]", card);
    if (box) box.checked = on;
  }
  bar.hidden = !any;
  document.documentElement.classList.toggle("has-selection", any);
  if (any) describe(bar, count);
  for (const listener of listeners) listener();
}

function describe(bar, count) {
  const said = count === null ? `All results${chosen.size ? ` but ${chosen.size}` : ""} selected` : `${count.toLocaleString("en")} selected`;
  const place = $("#selection-count", bar);
  if (place.textContent !== said) place.textContent = said;
  const more = $('[data-selection="all"]', bar);
  const loaded = cardsOf().length;
  const total = $(".results-count")?.dataset.count;
  more.hidden = all || count < loaded || !$("[data-more]");
  if (!more.hidden) more.textContent = total ? `Select all ${Number(total).toLocaleString("en")} results` : "Select all results";
}

function selectLoaded() {
  claim();
  for (const card of cardsOf()) {
    if (all) chosen.delete(card.dataset.assetId);
    else chosen.add(card.dataset.assetId);
  }
  draw();
  const count = selectedCount();
  if (count !== null) announce(`${count.toLocaleString("en")} selected`);
}

function focusedCard() {
  const card = document.activeElement?.closest?.(".card");
  return card && currentWall()?.contains(card) ? card : null;
}

function onKey(event) {
  if (!currentWall() || isTyping(event) || $("dialog[open]") || event.target.closest?.(".menu, .tray")) return;
  const card = focusedCard();
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "a") {
    selectLoaded();
  } else if (withModifier(event)) {
    return;
  } else if (event.shiftKey && event.key.startsWith("Arrow") && card) {
    claim();
    anchor ??= card.dataset.assetId;
    move(event.key);
    selectTo(focusedCard().dataset.assetId);
  } else if (event.key.toLowerCase() === "x" && card) {
    if (event.shiftKey) selectTo(card.dataset.assetId);
    else toggle(card.dataset.assetId);
  } else if (event.key === "Escape" && !$("#selection").hidden) {
    clearSelection();
    announce("Nothing is selected");
  } else return;
  event.preventDefault();
}

/** A click on a card opens it, unless pictures are being selected: then it selects. */
function onClick(event) {
  const wall = currentWall();
  const button = event.target.closest("[data-selection]");
  if (button) return button.dataset.selection === "all" ? selectAll() : clearSelection();
  const card = event.target.closest(".card");
  if (!wall || !card || !wall.contains(card) || event.button !== 0) return;
  const box = event.target.closest(".card-check");
  const link = event.target.closest(".card-link");
  if (box && event.target.matches("input")) {
    const id = card.dataset.assetId;
    if (event.shiftKey) selectTo(id);
    else toggle(id, event.target.checked);
    $(".card-link", card).focus({ preventScroll: true }); // so that keys go on from here
  } else if (link && !event.defaultPrevented && (event.shiftKey || (event.detail > 0 && wall.classList.contains("is-selecting")))) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.shiftKey) selectTo(card.dataset.assetId);
    else toggle(card.dataset.assetId);
    link.focus({ preventScroll: true });
  }
}

/** The pictures that an act is for: the selected ones, or the one that has the focus. */
export function actOn() {
  const selection = owner === currentWall() ? selectionBody() : null;
  if (selection) return selection;
  const card = focusedCard();
  return card ? { ids: [Number(card.dataset.assetId)] } : null;
}

export function start() {
  document.addEventListener("keydown", onKey);
  // Before the links are followed.
  document.addEventListener("click", onClick, true);
  document.addEventListener("vitrine:cards", draw);
}

export function open() {
  const wall = currentWall();
  if (wall !== owner) {
    // Kept for the wall that one may come back to, and shown on no other page.
    document.documentElement.classList.remove("has-selection");
    return;
  }
  if (wall) draw();
}
