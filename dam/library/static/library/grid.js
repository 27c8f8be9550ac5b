// The wall of pictures: rows of equal height that fill the width, more of them as one scrolls, arrow keys.

import { askCards } from "./cards.js";
import { $, $$, elements, isTyping, withModifier } from "./dom.js";
import { showPlaceholders } from "./pictures.js";
import { watch } from "./watch.js";

const AHEAD = "1600px";
const RATIO = { min: 0.45, max: 3.4 };
let wall = null;
let widthSeen = 0;
const decided = new Map(); // asset id → when a decision on its page was answered
const asOf = new WeakMap(); // wall → the moment from which on its cards may be out of date

const resized = new ResizeObserver(() => {
  if (wall && widthOf(wall) !== widthSeen) justify();
});

const nearEnd = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) loadMore();
  },
  { rootMargin: `0px 0px ${AHEAD} 0px` },
);

/** Whole pixels; clientWidth would round up, and the last card of a row would wrap. */
const widthOf = (element) => Math.floor(element.getBoundingClientRect().width);

/** Give every card from `first` on its size. All widths are whole pixels and fill the row exactly. */
function justify(first = 0) {
  if (wall.classList.contains("is-list")) return lineUp(first);
  const style = getComputedStyle(wall);
  const gap = parseFloat(style.columnGap) || 0;
  const target = parseFloat(style.getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const width = widthOf(wall);
  widthSeen = width;
  let row = [];
  let ratios = 0;
  const cards = $$(".card", wall).slice(first);
  for (const card of cards) {
    row.push(card);
    ratios += ratioOf(card);
    const height = (width - gap * (row.length - 1)) / ratios;
    if (height <= target) {
      closeRow(row, height, width, gap);
      row = [];
      ratios = 0;
    }
  }
  // The last row is not stretched: two pictures would fill the screen.
  if (row.length) {
    const height = Math.min(target, (width - gap * (row.length - 1)) / ratios);
    for (const card of row) setSize(card, Math.floor(height * ratioOf(card)), Math.round(height));
    wall.dataset.open = row.length;
  } else {
    wall.dataset.open = 0;
  }
  wall.classList.add("is-justified");
}

/** As a list every card is a row, which the style sheet gives its size. */
function lineUp(first) {
  widthSeen = widthOf(wall);
  for (const card of $$(".card", wall).slice(first)) card.style.width = card.style.height = "";
  wall.dataset.open = 0;
  wall.classList.add("is-justified");
}

function closeRow(row, height, width, gap) {
  let left = width - gap * (row.length - 1);
  row.forEach((card, place) => {
    const own = place === row.length - 1 ? left : Math.round(height * ratioOf(card));
    left -= own;
    setSize(card, own, Math.round(height));
  });
}

function setSize(card, width, height) {
  card.style.width = `${width}px`;
  card.style.height = `${height}px`;
}

function ratioOf(card) {
  const ratio = Number(card.dataset.width) / Number(card.dataset.height);
  return Math.min(RATIO.max, Math.max(RATIO.min, ratio || 1));
}

let loading = null;

/** Load the page that follows; true if cards came. Who asks while one loads waits for the same. */
export function loadMore() {
  loading ??= loadPage().finally(() => (loading = null));
  return loading;
}

async function loadPage() {
  const link = $("[data-more]");
  if (!link || !wall?.isConnected) return false;
  const url = new URL(link.href);
  url.searchParams.set("fragment", "1");
  const mine = wall;
  let response;
  try {
    response = await fetch(url);
  } catch {
    return false; // offline: the link stays, and the next scroll tries again
  }
  if (!response.ok || response.redirected) return false; // stale: the link leads to a page that says so
  const parts = elements(await response.text());
  const first = $$(".card", mine).length - Number(mine.dataset.open || 0);
  mine.append(...parts.filter((part) => part.matches(".card")));
  link.parentElement.replaceWith(...parts.filter((part) => !part.matches(".card")));
  if (mine !== wall) return false;
  showPlaceholders(mine);
  justify(first);
  watchPending();
  observeEnd();
  tellChanged();
  return true;
}

/** Other modules hear of cards that came, went or were drawn anew. */
function tellChanged() {
  wall.dispatchEvent(new CustomEvent("vitrine:cards", { bubbles: true }));
}

/** The wall of the page, and its cards in their order. */
export const currentWall = () => (wall?.isConnected ? wall : null);
export const cardsOf = () => (currentWall() ? $$(".card", wall) : []);
export const cardOf = (id) => (currentWall() ? $(`.card[data-asset-id="${id}"]`, wall) : null);

/** Lay everything out again: the size of the pictures or the way to show them has changed. */
export function relayout() {
  if (currentWall()) justify();
}

/** Take the cards of these pictures away: they are in the wall no more. */
export function removeCards(ids) {
  for (const id of ids) cardOf(id)?.remove();
  countMore(-ids.length);
  justify();
  observeEnd();
  tellChanged();
}

/** Draw the cards of these pictures again, as they are now; those that one sees no more go. */
export async function redrawCards(ids) {
  const fresh = await askCards(ids);
  if (!fresh || !currentWall()) return;
  fresh.forEach(settle);
  const seen = new Set(fresh.map((card) => card.dataset.assetId));
  const gone = ids.map(String).filter((id) => !seen.has(id) && cardOf(id));
  if (gone.length) removeCards(gone);
}

function observeEnd() {
  nearEnd.disconnect();
  const link = $("[data-more]");
  if (link) nearEnd.observe(link);
}

function watchPending() {
  for (const card of $$('.card[data-state="pending"]', wall)) watch(card.dataset.assetId, settle);
}

/** A card has its tags now: put the new one in its place. */
function settle(fresh) {
  for (const old of $$(`.card[data-asset-id="${fresh.dataset.assetId}"]`)) {
    const card = fresh.cloneNode(true);
    const focused = old.contains(document.activeElement);
    card.classList.add("is-fresh");
    const sameShape = old.dataset.width === card.dataset.width && old.dataset.height === card.dataset.height;
    card.style.width = old.style.width;
    card.style.height = old.style.height;
    const link = $(".card-link", card);
    link.href = $(".card-link", old).href;
    old.replaceWith(card);
    showPlaceholders(card.parentElement);
    if (focused) link.focus({ preventScroll: true });
    if (!sameShape && wall?.contains(card)) justify();
    if (wall?.contains(card)) tellChanged();
  }
}

/** The tags of a picture were changed on its own page: its cards are drawn again, now or when one returns to them. */
export function cardChanged(id) {
  decided.set(String(id), performance.now());
  if (wall?.isConnected) drawChanged();
}

async function drawChanged() {
  const mine = wall;
  const since = asOf.get(mine);
  const ids = [...decided].filter(([id, at]) => at >= since && $(`.card[data-asset-id="${id}"]`, mine)).map(([id]) => id);
  if (!ids.length) return;
  asOf.set(mine, performance.now());
  const cards = await askCards(ids);
  if (cards) cards.forEach(settle);
  else asOf.set(mine, since); // the next time that one comes by
}

/** Put cards of new uploads at the head of the plain library. */
export function prepend(cards) {
  if (wall?.dataset.fresh !== "yes") return false;
  const unseen = cards.filter((card) => !$(`.card[data-asset-id="${card.dataset.assetId}"]`, wall));
  wall.prepend(...unseen);
  countMore(unseen.length);
  showPlaceholders(wall);
  justify();
  watchPending();
  return true;
}

function countMore(more) {
  const count = $("[data-count]");
  if (!count) return;
  const now = Math.max(0, Number(count.dataset.count) + more);
  count.dataset.count = now;
  count.textContent = `${now.toLocaleString("en")} picture${now === 1 ? "" : "s"}`;
}

// ------------------------------------------------------------------ keys

/** Move the focus by an arrow key; true if the key was for the wall. */
export function move(key) {
  const cards = $$(".card-link", wall);
  const at = cards.indexOf(document.activeElement);
  if (at < 0) {
    if (key === "ArrowUp" || key === "ArrowDown") return false;
    cards.find((card) => card.getBoundingClientRect().top >= 0)?.focus();
    return true;
  }
  const next = key === "ArrowLeft" ? cards[at - 1] : key === "ArrowRight" ? cards[at + 1] : vertical(cards, at, key === "ArrowDown" ? 1 : -1);
  if (next) focusCard(next.closest(".card"));
  return true;
}

/** Put the focus on a card and bring it into view. */
export function focusCard(card) {
  const link = $(".card-link", card);
  link.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest", behavior: "instant" });
}

/** The card above or below whose middle is nearest. */
function vertical(cards, at, step) {
  const box = cards[at].getBoundingClientRect();
  const middle = box.left + box.width / 2;
  let best = null;
  let rowTop = null;
  for (let place = at + step; place >= 0 && place < cards.length; place += step) {
    const other = cards[place].getBoundingClientRect();
    if (Math.abs(other.top - box.top) < 2) continue;
    rowTop ??= other.top;
    if (Math.abs(other.top - rowTop) > 2) break;
    const distance = Math.abs(other.left + other.width / 2 - middle);
    if (!best || distance < best.distance) best = { card: cards[place], distance };
  }
  return best?.card;
}

export function start() {
  // Said of the request and not of the page, which one may have left before the answer came.
  document.addEventListener("htmx:beforeSend", ({ detail }) => {
    const article = detail.elt.closest("article[data-asset]");
    if (article) detail.xhr.addEventListener("loadend", () => cardChanged(article.dataset.asset));
  });
  document.addEventListener("keydown", (event) => {
    if (!wall || !event.key.startsWith("Arrow") || withModifier(event) || event.shiftKey || isTyping(event)) return;
    if (event.target.closest(".menu, dialog, .tray")) return;
    if (move(event.key)) event.preventDefault();
  });
}

export function open(main) {
  resized.disconnect();
  nearEnd.disconnect();
  wall = $("#wall", main);
  if (!wall) return;
  if (asOf.has(wall)) drawChanged();
  else asOf.set(wall, performance.now());
  wall.dispatchEvent(new CustomEvent("vitrine:wall", { bubbles: true })); // sizes are chosen before the layout
  justify();
  resized.observe(wall);
  watchPending();
  observeEnd();
}
