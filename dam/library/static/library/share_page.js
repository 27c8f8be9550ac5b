// The page that a link opens: its wall, which grows as one scrolls, and one picture large.

import { $, $$, announce, elements, isTyping, withModifier } from "./dom.js";
import { showPlaceholders } from "./pictures.js";

const AHEAD = "1200px";
const SWIPE_PX = 60;
const RATIO = { min: 0.45, max: 3.4 };
const wall = $("#share-wall");
const box = $("#share-box");
let shown = null; // the card whose picture is large
let pushed = false; // an entry of the history stands for it
let touch = null;

/** Rows of one height that fill the width: each card grows by its proportions, and keeps them. */
function justify() {
  for (const card of $$(".share-card:not([data-sized])", wall)) {
    const ratio = Math.min(RATIO.max, Math.max(RATIO.min, Number(card.dataset.width) / Number(card.dataset.height) || 1));
    card.style.flexGrow = ratio;
    card.style.flexBasis = `calc(var(--row) * ${ratio})`;
    card.style.aspectRatio = ratio;
    card.dataset.sized = "yes";
  }
  wall.classList.add("is-justified");
  showPlaceholders(wall);
}

// ------------------------------------------------------------------ more

const nearEnd = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) more();
}, { rootMargin: `0px 0px ${AHEAD} 0px` });

async function more() {
  const link = $("[data-more]", wall);
  if (!link || link.dataset.loading) return false;
  link.dataset.loading = "yes";
  const url = new URL(link.href);
  url.searchParams.set("fragment", "1");
  let response;
  try {
    response = await fetch(url);
  } catch {
    delete link.dataset.loading; // offline: the link stays, and the next scroll tries again
    return false;
  }
  if (!response.ok) return false; // ended meanwhile: the link leads to a page that says so
  const parts = elements(await response.text()).filter((part) => part.matches(".share-card, .share-more"));
  if (!parts.length) return false; // the password is asked for again: the link shows that
  link.closest(".share-more").replaceWith(...parts);
  justify();
  observe();
  return true;
}

function observe() {
  nearEnd.disconnect();
  const link = $("[data-more]", wall);
  if (link) nearEnd.observe(link);
}

// ------------------------------------------------------- one picture large

const cards = () => $$(".share-card", wall);

function show(card) {
  shown = card;
  const picture = $("[data-picture]", box);
  const source = card.dataset.preview || $("img", card)?.src;
  const alt = $("img", card)?.alt ?? $(".card-name", card)?.textContent ?? "";
  picture.hidden = !source;
  $("[data-none]", box).hidden = Boolean(source);
  if (source) {
    picture.style.backgroundImage = card.style.backgroundImage; // the placeholder, until it has arrived
    picture.width = card.dataset.width;
    picture.height = card.dataset.height;
    picture.src = source;
  }
  picture.alt = alt;
  const original = $("[data-original]", box);
  original.hidden = !card.dataset.download;
  if (card.dataset.download) original.href = card.dataset.download;
  $("[data-told]", box).replaceChildren($("template", card).content.cloneNode(true));
  const all = cards();
  const at = all.indexOf(card);
  const known = !$("[data-more]", wall);
  $("[data-place]", box).textContent = known ? `${at + 1} of ${all.length}` : `${at + 1}`;
  for (const button of $$("[data-step]", box)) button.disabled = !all[at + Number(button.dataset.step)] && (known || button.dataset.step < 0);
  box.setAttribute("aria-label", alt);
  announce(`${alt}, ${at + 1}`);
  for (const beside of [all[at + 1], all[at - 1]]) if (beside?.dataset.preview) new Image().src = beside.dataset.preview;
}

function open(card) {
  show(card);
  if (box.open) return;
  box.showModal();
  $("[data-close]", box).focus();
}

async function step(by) {
  if (!shown) return;
  let next = cards()[cards().indexOf(shown) + by];
  if (!next && by > 0 && (await more())) next = cards()[cards().indexOf(shown) + by];
  if (!next) return;
  show(next);
  history.replaceState(history.state, "", `#${next.id}`);
}

/** The large picture is gone: back to its place on the wall. */
function closed() {
  const card = shown;
  shown = null;
  if (!card) return;
  $(".share-link", card)?.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function leave() {
  // Leaving is going back, so that the browser's own button does the same.
  if (pushed) history.back();
  else {
    history.replaceState(null, "", location.pathname + location.search);
    box.close();
  }
}

function fromAddress() {
  const card = /^#p\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (card) open(card);
  else if (box.open) box.close();
}

function toggleFacts() {
  const button = $("[data-facts]", box);
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  box.classList.toggle("is-plain", !on);
}

// ------------------------------------------------------------------- keys

function neighbour(key) {
  const links = $$(".share-link", wall);
  const at = links.indexOf(document.activeElement);
  if (at < 0) return key === "ArrowRight" || key === "ArrowLeft" ? links[0] : null;
  if (key === "ArrowLeft") return links[at - 1];
  if (key === "ArrowRight") return links[at + 1];
  const from = links[at].getBoundingClientRect();
  const middle = from.left + from.width / 2;
  const down = key === "ArrowDown";
  const beyond = links.map((link) => ({ link, rect: link.getBoundingClientRect() })).filter(({ rect }) => (down ? rect.top >= from.bottom : rect.bottom <= from.top));
  const distance = ({ rect }) => Math.abs(rect.top - from.top) * 1000 + Math.abs(rect.left + rect.width / 2 - middle);
  return beyond.sort((one, other) => distance(one) - distance(other))[0]?.link;
}

function onKey(event) {
  if (withModifier(event) || isTyping(event)) return;
  if (box.open) {
    const act = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), i: toggleFacts, d: () => $("[data-original]:not([hidden])", box)?.click() }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    return;
  }
  if (!event.key.startsWith("Arrow")) return;
  const next = neighbour(event.key);
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

if (wall) {
  justify();
  observe();
  wall.addEventListener("click", (event) => {
    const card = event.target.closest(".share-link")?.closest(".share-card");
    if (!card || event.button !== 0 || withModifier(event) || event.shiftKey) return;
    event.preventDefault();
    history.pushState({ box: true }, "", `#${card.id}`);
    pushed = true;
    open(card);
  });
  addEventListener("popstate", () => {
    pushed = false;
    fromAddress();
  });
  box.addEventListener("close", closed);
  box.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave();
  });
  box.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) leave();
    if (event.target.closest("[data-facts]")) toggleFacts();
    const button = event.target.closest("[data-step]");
    if (button) step(Number(button.dataset.step));
  });
  $("[data-picture]", box).addEventListener("load", ({ target }) => (target.style.backgroundImage = ""));
  box.addEventListener("touchstart", (event) => (touch = event.touches.length === 1 ? event.touches[0] : null), { passive: true });
  box.addEventListener("touchend", (event) => {
    const moved = touch && event.changedTouches[0].clientX - touch.clientX;
    touch = null;
    if (moved && Math.abs(moved) > SWIPE_PX) step(moved < 0 ? 1 : -1);
  });
  document.addEventListener("keydown", onKey);
  fromAddress();
}
document.documentElement.dataset.ready = "yes";
