// The page of one picture by keyboard: tags with the arrows, a and r; pictures with the arrows left and right.

import { $, $$, announce, isTyping, toast, withModifier } from "./dom.js";
import { back, onPage, refresh } from "./navigate.js";
import { showPlaceholders } from "./pictures.js";
import { combobox } from "./combobox.js";
import { askTags, drawTag } from "./search.js";
import { watch } from "./watch.js";

const MOST_ENLARGED = 2;
const SWIPE_PX = 60;
let article = null;
let chosen = ""; // slug of the tag that was acted on, to find one's place again after the list was redrawn
let justRejected = false; // the newest decision here was a rejection
let resting = null; // where the focus was put after it
let undoNext = false; // asked for while the answer to a decision was on its way
let say = announce; // what is not done where one looks is told to everybody

// Not offsetParent: inside a closed <details> Chromium has one, and focus() would silently do nothing.
function canBeSeen(claim) {
  return claim.checkVisibility({ contentVisibilityAuto: true });
}

function claims() {
  return $$(".claim", article).filter(canBeSeen);
}

function focusClaim(step) {
  const all = claims();
  const at = all.findIndex((claim) => claim.contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
  all[next]?.focus();
}

function act(verdict) {
  const claim = document.activeElement?.closest?.(".claim");
  const button = claim && $(`button[value="${verdict}"]`, claim);
  if (!button) return false;
  button.click();
  return true;
}

/**
 * Take back what was said of the chosen tag; or the rejection just made, as long as one stays where it left the
 * focus; or one's own newest rejection, if nothing is chosen that could be undone.
 */
function undo() {
  undoNext = Boolean($(".htmx-request", article));
  if (undoNext) return true;
  const isStill = justRejected && document.activeElement === resting;
  if (!isStill && act("withdrawn")) return true;
  const fold = $(".fold[data-undo]", article);
  const button = fold && $(`#claim-${CSS.escape(fold.dataset.undo)} button[value="withdrawn"]`, fold);
  if (!button) {
    if ($("[data-add-tag]", article)) toast("Nothing to undo: you have rejected no tag of this picture.");
    return true;
  }
  fold.open = true;
  say = toast;
  button.click();
  return true;
}

function step(rel) {
  const link = $(`a[rel="${rel}"]`, article);
  link?.click();
  return Boolean(link);
}

function onKey(event) {
  if (!article?.isConnected || withModifier(event) || isTyping(event) || event.target.closest("dialog, .menu, .tray")) return;
  const done = {
    ArrowLeft: () => step("prev"),
    ArrowRight: () => step("next"),
    ArrowDown: () => (focusClaim(1), true),
    ArrowUp: () => (focusClaim(-1), true),
    a: () => act("accepted"),
    r: () => act("rejected"),
    z: undo,
    t: () => ($("#new-tag")?.focus(), true),
    Escape: () => (back($("[data-back]", article).href), true),
  }[event.key]?.();
  if (done) event.preventDefault();
}

/** The list is new after a decision: put the focus where the hand was. */
function onRedraw() {
  showPlaceholders(article);
  addField();
  if (!chosen) return;
  const again = undoNext;
  undoNext = false;
  if (chosen === "#new-tag") {
    $("#new-tag")?.focus();
  } else {
    const same = document.getElementById(`claim-${chosen.slug}`);
    const place = Math.max(0, Math.min(chosen.place, claims().length - 1));
    resting = same && canBeSeen(same) ? same : (claims()[place] ?? $(".fold > summary", article) ?? $("#new-tag"));
    resting?.focus({ preventScroll: true });
  }
  chosen = "";
  if (again) undo();
}

function addField() {
  const form = $("[data-add-tag]", article);
  const input = form && $("input[name=name]", form);
  if (!input || input.dataset.ready) return;
  input.dataset.ready = "yes";
  const url = $("#claims").dataset.tagsUrl;
  combobox(input, {
    ask: async (text, signal) => (text.trim() ? (await askTags(url, text, signal)).slice(0, 8) : []),
    draw: (tag) => drawTag(tag, input.value.trim()),
    choose(tag) {
      input.value = tag.name;
      form.requestSubmit();
    },
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.blur();
  });
}

/** As large as the stage allows, a small picture up to twice its size; known before it has loaded. */
function fit(stage) {
  const image = $("img", stage);
  if (!image) return;
  const width = Number(image.getAttribute("width"));
  const height = Number(image.getAttribute("height"));
  const ratio = Math.min(stage.clientWidth / width, stage.clientHeight / height, MOST_ENLARGED);
  image.style.width = `${Math.floor(width * ratio)}px`;
  image.style.height = `${Math.floor(height * ratio)}px`;
}

const stageSized = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));

export function start() {
  document.addEventListener("keydown", onKey);
  watchSwipes();
  document.addEventListener("submit", (event) => {
    const claim = event.target.closest(".claim");
    if (claim) {
      chosen = { slug: claim.dataset.slug, place: claims().indexOf(claim) };
      justRejected = event.submitter?.value === "rejected";
    } else if (event.target.matches("[data-add-tag]")) chosen = "#new-tag";
  }, true);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (article?.isConnected && $("#claims", article) && event.target.closest?.(".asset")) onRedraw();
  });
  document.addEventListener("vitrine:said", (event) => {
    say(event.detail.text);
    say = announce;
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied");
    button.classList.add("is-copied");
    setTimeout(() => button.classList.remove("is-copied"), 1200);
  });
  onPage((main) => open(main));
}

export function open(main) {
  article = $("article[data-asset]", main);
  justRejected = undoNext = false;
  if (!article) return;
  stageSized.disconnect();
  stageSized.observe($(".stage-picture", article)); // calls back at once, too
  addField();
  if (article.dataset.state === "pending") {
    const mine = article;
    watch(mine.dataset.asset, () => {
      // What somebody is typing is worth more than the tags; they come with the answer to it.
      if (mine.isConnected && !$("#new-tag")?.value) refresh();
    });
  }
  const shown = $(".stage-picture img", article);
  const beside = $$("[data-preload]", article).map((link) => link.dataset.preload);
  const preload = () => beside.forEach((address) => (new Image().src = address));
  if (!shown || shown.complete) preload();
  else shown.addEventListener("load", preload, { once: true });
}

/** A finger that moves across the stage turns the page. */
function watchSwipes() {
  let from = null;
  document.addEventListener("touchstart", (event) => {
    const single = event.touches.length === 1 && event.target.closest(".stage");
    from = single ? { x: event.touches[0].clientX, y: event.touches[0].clientY } : null;
  }, { passive: true });
  document.addEventListener("touchend", (event) => {
    if (!from || !article?.isConnected) return;
    const { clientX, clientY } = event.changedTouches[0];
    const across = clientX - from.x;
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(clientY - from.y)) step(across < 0 ? "next" : "prev");
    from = null;
  }, { passive: true });
}
