// One picture over the wall, and from it to the next. Its address is that of the picture, so that it can be sent
// to somebody; closing it, or going back, leads to the same place of the wall.

import { $, announce, isTyping, withModifier } from "./dom.js";
import { cardOf, cardsOf, currentWall, focusCard, loadMore } from "./grid.js";
import { go } from "./navigate.js";
import { isSelected, toggle } from "./selection.js";
import { begin } from "./selection_acts.js";
import { showInfo } from "./wall_info.js";
import * as zoom from "./lightbox_zoom.js";

const AHEAD = 8; // cards before the end at which the page that follows is asked for
const SWIPE_PX = 60;
let shown = null; // id
let withInfo = false;
let left = false; // for another page, from which one may come back

const box = () => $("#lightbox");
const link = (card) => $(".card-link", card);

/** Show a picture; `push`: the address is a new one in the history. */
function show(card, { push = false } = {}) {
  shown = card.dataset.assetId;
  const dialog = box();
  const opening = !dialog.open;
  if (opening) dialog.showModal();
  // The way back leads to the wall whose key this is.
  const state = { ...history.state, lightbox: shown, from: $("#main").dataset.page };
  history[push ? "pushState" : "replaceState"](state, "", link(card).href);
  draw(card);
  if (opening) $("#lightbox-stage").focus();
  else announce(card.dataset.name);
  card.scrollIntoView({ block: "nearest", behavior: "instant" });
}

function draw(card) {
  const { name, preview, tags } = card.dataset;
  const image = $("#lightbox-picture");
  const small = $("img", card)?.src;
  const source = preview ?? small;
  zoom.reset();
  image.hidden = !source;
  $("#lightbox-none").hidden = Boolean(source);
  if (source) {
    image.width = card.dataset.width;
    image.height = card.dataset.height;
    // What the wall has loaded stands in, at the same size, until the larger one is there.
    image.style.backgroundImage = small ? `url("${small}")` : "";
    image.src = source;
    image.alt = tags ? `${name}: ${tags}` : name;
  }
  $("#lightbox-name").textContent = name;
  drawPlace(card);
  $('[data-lightbox="similar"]').href = $(".card-similar", card)?.href ?? "";
  $('[data-lightbox="similar"]').hidden = !$(".card-similar", card);
  $('[data-lightbox="page"]').href = link(card).href;
  drawInfo(card);
  preload(card);
}

function drawPlace(card) {
  const cards = cardsOf();
  const at = cards.indexOf(card);
  const total = $("[data-count]")?.dataset.count;
  $("#lightbox-place").textContent = total ? `${(at + 1).toLocaleString("en")} of ${Number(total).toLocaleString("en")}` : "";
  $('[data-lightbox="previous"]').hidden = at <= 0;
  $('[data-lightbox="next"]').hidden = at === cards.length - 1 && !$("[data-more]");
  $('[data-lightbox="select"]').setAttribute("aria-pressed", String(isSelected(shown)));
  if (cards.length - at <= AHEAD && $("[data-more]")) loadMore();
}

function drawInfo(card) {
  const panel = $("#lightbox-info");
  panel.hidden = !withInfo;
  box().classList.toggle("with-info", withInfo);
  $('[data-lightbox="info"]').setAttribute("aria-pressed", String(withInfo));
  if (withInfo) showInfo(panel, link(card).href);
}

function preload(card) {
  for (const beside of [card.nextElementSibling, card.previousElementSibling]) {
    const address = beside?.dataset?.preview;
    if (address) new Image().src = address;
  }
}

async function step(by) {
  const cards = cardsOf();
  const at = cards.indexOf(cardOf(shown));
  const from = shown;
  if (at + by >= cards.length && !(await loadMore())) return;
  const next = cardsOf()[at + by];
  if (next && shown === from && box().open) show(next);
}

/** Close, and be where the shown picture is in the wall. */
function close() {
  if (history.state?.lightbox) history.back(); // popstate closes
  else hide();
}

function hide() {
  const dialog = box();
  const card = shown && cardOf(shown);
  shown = null;
  zoom.reset();
  if (dialog?.open) dialog.close();
  if (card) focusCard(card);
}

/** A picture went to the trash: the one beside takes its place. */
function onActed({ detail }) {
  if (detail.act !== "trash" || !shown || !detail.ids.includes(shown)) return;
  const card = cardOf(shown);
  const beside = card?.nextElementSibling ?? card?.previousElementSibling;
  if (beside?.matches?.(".card")) show(beside);
  else close();
}

const DO = {
  close,
  previous: () => step(-1),
  next: () => step(1),
  zoom: () => zoom.toggle(),
  info() {
    withInfo = !withInfo;
    drawInfo(cardOf(shown));
  },
  select() {
    toggle(shown);
    drawPlace(cardOf(shown));
  },
  share: () => begin("share", { ids: [Number(shown)] }),
  download: () => begin("download", { ids: [Number(shown)] }),
  trash: () => begin("trash", { ids: [Number(shown)] }),
  page: () => leave(link(cardOf(shown)).href),
};
const KEYS = { ArrowLeft: "previous", ArrowRight: "next", z: "zoom", i: "info", x: "select", s: "share", d: "download", e: "page", Delete: "trash" };

/** Go to another page: the lightbox is closed first, and its place in the history is what one returns to. */
function leave(address) {
  left = true;
  hide();
  go(address);
}

function onKey(event) {
  const dialog = box();
  if (!dialog?.open || withModifier(event) || isTyping(event)) return;
  if ($("dialog[open]:not(#lightbox)")) return;
  if (event.key.startsWith("Arrow") && zoom.pan(event.key)) return event.preventDefault();
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  DO[act]();
}

function onClick(event) {
  const card = event.target.closest(".card");
  const opens = card && currentWall()?.contains(card) && event.target.closest(".card-link");
  const plain = event.button === 0 && !withModifier(event) && !event.shiftKey;
  if (opens && plain && !event.defaultPrevented && box()) {
    event.preventDefault();
    return show(card, { push: true });
  }
  if (!box()?.open) return;
  const away = event.target.closest("#lightbox a[href]");
  if (away && plain) {
    event.preventDefault();
    return leave(away.href);
  }
  const act = event.target.closest("[data-lightbox]")?.dataset.lightbox;
  if (act && act in DO) DO[act]();
}

export function start() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick, true);
  document.addEventListener("vitrine:acted", onActed);
  document.addEventListener("vitrine:cards", () => {
    const card = shown && box()?.open && cardOf(shown);
    if (card) drawPlace(card);
  });
  document.addEventListener("cancel", (event) => {
    if (event.target.id !== "lightbox") return;
    event.preventDefault(); // Esc: by way of the history
    close();
  }, true);
  // After the page itself is in its place again.
  addEventListener("popstate", (event) => {
    const id = event.state?.lightbox;
    // On the pages of pictures one may have walked on: the card that got the focus is that of the last one.
    const last = left && document.activeElement?.closest?.(".card");
    left = false;
    const card = id && (last || cardOf(id));
    if (card) show(card);
    else if (shown) hide();
  });
  watchSwipes();
}

/** A finger that moves across the picture turns the page, as long as it is not enlarged. */
function watchSwipes() {
  let from = null;
  document.addEventListener("touchstart", (event) => {
    const single = event.touches.length === 1 && event.target.closest("#lightbox-stage") && !zoom.isZoomed();
    from = single ? { x: event.touches[0].clientX, y: event.touches[0].clientY } : null;
  }, { passive: true });
  document.addEventListener("touchend", (event) => {
    if (!from) return;
    const { clientX, clientY } = event.changedTouches[0];
    const across = clientX - from.x;
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(clientY - from.y)) step(across < 0 ? 1 : -1);
    from = null;
  }, { passive: true });
}
