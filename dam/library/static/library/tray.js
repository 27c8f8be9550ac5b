// The upload tray: a few files at a time, a bar for each and for all, and what became of every one.

import { askCards } from "./cards.js";
import { $, announce, icon, setBar } from "./dom.js";
import { prepend } from "./grid.js";
import { refresh } from "./navigate.js";
import { send } from "./send.js";
import * as place from "./collections_upload.js";
import { watch } from "./watch.js";

const AT_ONCE = 3;
const ROWS_AHEAD = 200; // rows of files that only wait; those of later ones are made when it is their turn
const PREVIEW_BYTES = 15e6;
const RETRIES = 2;
const RETRY_MS = 2000;

const OVER = new Set(["tagged", "failed", "existing", "refused", "stopped"]);
const SENT = new Set([...OVER, "pending"]);
const MARKS = { pending: "clock", tagged: "check", existing: "check", refused: "warning", failed: "warning", lost: "retry" };

const parcels = [];
const arrived = [];
let running = 0;
let settleTimer = null;
let signedOut = false; // nothing more is sent until that has changed

/** Files to upload; they join those that are under way. */
export function add(files) {
  if (!files.length) return;
  signedOut = false;
  const tray = $("#tray");
  if (tray.hidden || parcels.every((parcel) => OVER.has(parcel.phase))) clear();
  const into = place.here();
  $("#tray-into").textContent = into.name ? `Into “${into.name}”` : "";
  for (const file of files) {
    const parcel = { file, into: into.id, phase: "waiting", share: 0, said: "Waiting", tries: 0 };
    parcels.push(parcel);
    if (parcels.length <= ROWS_AHEAD) addRow(parcel);
  }
  tray.hidden = false;
  fold(false);
  announce(`${files.length} file${files.length === 1 ? "" : "s"} to upload`);
  pump();
}

function clear() {
  parcels.length = 0;
  $("#tray-list").replaceChildren();
}

function pump() {
  while (running < AT_ONCE && !signedOut) {
    const parcel = parcels.find(({ phase }) => phase === "waiting");
    if (!parcel) break;
    upload(parcel);
  }
  summarise();
}

async function upload(parcel) {
  running += 1;
  parcel.stop = new AbortController();
  parcel.tries += 1;
  set(parcel, "sending", "Uploading");
  showPreview(parcel);
  const result = await send($("#tray").dataset.url, parcel.file, {
    signal: parcel.stop.signal,
    fields: parcel.into ? { collection: parcel.into } : {},
    progress(share) {
      parcel.share = share;
      set(parcel, "sending", share < 1 ? "Uploading" : "Checking");
    },
  });
  running -= 1;
  if (result.kind !== "ok") parcel.share = 0;
  if (result.kind === "ok") take(parcel, result);
  else if (result.kind === "signed-out") {
    signedOut = true;
    set(parcel, "lost", "Not sent: you are signed out.");
  }
  else if (result.kind === "lost" && parcel.tries <= RETRIES && navigator.onLine) {
    set(parcel, "lost", `${result.said} Trying again.`);
    setTimeout(() => parcel.phase === "lost" && (set(parcel, "waiting", "Waiting"), pump()), RETRY_MS * parcel.tries);
  } else set(parcel, result.kind, result.said);
  pump();
}

function take(parcel, { status, body }) {
  parcel.id = body.id;
  parcel.share = 1;
  const state = { pending: "Being tagged", tagged: "Tagged", failed: "Could not be tagged" }[body.state];
  if (status === 200) set(parcel, "existing", "Already in the library");
  else set(parcel, body.state, state);
  if (body.state === "pending") watch(body.id, (card) => settle(parcel, card));
  if (status !== 201) return;
  arrived.push({ id: body.id, into: parcel.into });
  settleTimer ??= setTimeout(showArrived, 350);
}

/** New pictures join the library if it is what one sees, several at a time. */
async function showArrived() {
  settleTimer = null;
  const ids = arrived.splice(0, 100).filter(({ into }) => place.shows(into)).map(({ id }) => id);
  if (!ids.length || !["library", "collection"].includes($("#main").dataset.page)) return;
  if (!$("#wall")) {
    await refresh();
    return;
  }
  const cards = await askCards(ids.sort((a, b) => b - a));
  if (cards) prepend(cards.map(withPreview));
  if (arrived.length) showArrived();
}

/** Until the server has made a picture of it, a card shows the file that this browser just sent. */
function withPreview(card) {
  const parcel = parcels.find(({ id }) => String(id) === card.dataset.assetId);
  const empty = $(".card-none", card);
  if (!empty || !parcel || !canShow(parcel.file)) return card;
  const image = new Image();
  image.alt = parcel.file.name;
  image.decoding = "async";
  image.src = URL.createObjectURL(parcel.file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  empty.replaceWith(image);
  return card;
}

const canShow = (file) => file.size <= PREVIEW_BYTES && /^image\/(jpeg|png|webp|gif|avif|bmp)$/.test(file.type);

function settle(parcel, card) {
  const tagged = card.dataset.state === "tagged";
  if (parcel.phase === "pending") {
    set(parcel, card.dataset.state, tagged ? card.dataset.tags || "Nothing was sure enough to be a tag" : $(".badge", card)?.textContent.trim());
  }
  const picture = $("img", card);
  if (picture && parcel.row) showPicture(parcel, picture.src);
  summarise();
}

// ------------------------------------------------------------------ rows

function addRow(parcel) {
  const row = $("#parcel").content.firstElementChild.cloneNode(true);
  $(".parcel-name", row).textContent = parcel.file.name;
  $(".parcel-name", row).title = parcel.file.name;
  row.addEventListener("click", (event) => {
    const button = event.target.closest("[data-parcel-action]");
    if (!button) return;
    if (parcel.phase === "lost") again(parcel);
    else cancel(parcel);
  });
  parcel.row = row;
  $("#tray-list").append(row);
}

function set(parcel, phase, said) {
  parcel.phase = phase;
  parcel.said = said;
  if (!parcel.row) addRow(parcel);
  const { row } = parcel;
  if (row.dataset.phase !== phase) draw(parcel);
  $(".parcel-said", row).textContent = said;
  setBar($(".bar", row), parcel.share);
  if (SENT.has(phase)) link(parcel);
  summarise();
}

function draw({ row, phase }) {
  row.dataset.phase = phase;
  $(".bar", row).toggleAttribute("hidden", phase !== "sending");
  const mark = $(".parcel-end > .icon", row);
  mark.toggleAttribute("hidden", !(phase in MARKS) || phase === "lost");
  if (phase in MARKS) $("use", mark).setAttribute("href", `${document.body.dataset.icons}#${MARKS[phase]}`);
  const button = $("[data-parcel-action]", row);
  button.hidden = SENT.has(phase);
  button.setAttribute("aria-label", phase === "lost" ? "Try again" : "Cancel");
  button.replaceChildren(icon(phase === "lost" ? "retry" : "close"));
}

function link(parcel) {
  const name = $(".parcel-name", parcel.row);
  if (!parcel.id || name.tagName === "A") return;
  const anchor = document.createElement("a");
  anchor.className = "parcel-name";
  anchor.textContent = name.textContent;
  anchor.title = name.title;
  anchor.href = `/assets/${parcel.id}/`;
  name.replaceWith(anchor);
}

/** A glimpse of the file itself, until the server has made a small one. */
function showPreview(parcel) {
  if (!canShow(parcel.file)) return;
  const address = URL.createObjectURL(parcel.file);
  showPicture(parcel, address, () => URL.revokeObjectURL(address));
}

function showPicture(parcel, address, then = () => {}) {
  const image = new Image();
  image.alt = "";
  image.decoding = "async";
  image.addEventListener("load", () => {
    $(".parcel-picture", parcel.row).replaceChildren(image);
    then();
  });
  image.addEventListener("error", then);
  image.src = address;
}

function again(parcel) {
  signedOut = false;
  parcel.tries = 0;
  parcel.share = 0;
  set(parcel, "waiting", "Waiting");
  pump();
}

const allAgain = () => parcels.filter(({ phase }) => phase === "lost").forEach(again);

/** Go on by itself after a sign-in in another tab, asking first: a whole file would be sent to no avail. */
async function goOn() {
  if (signedOut && document.visibilityState === "visible" && (await askCards([0]))) allAgain();
}

function cancel(parcel) {
  if (parcel.phase === "sending") parcel.stop.abort();
  else if (parcel.phase === "waiting") set(parcel, "stopped", "Cancelled");
}

// --------------------------------------------------------------- summary

let summaryDue = false;

function summarise() {
  if (summaryDue) return;
  summaryDue = true;
  requestAnimationFrame(() => {
    summaryDue = false;
    drawSummary();
  });
}

function drawSummary() {
  const number = Object.groupBy ? Object.groupBy(parcels, ({ phase }) => phase) : group(parcels);
  const count = (...phases) => phases.reduce((sum, phase) => sum + (number[phase]?.length ?? 0), 0);
  const open = signedOut ? 0 : count("waiting", "sending");
  const share = parcels.length ? parcels.reduce((sum, { phase, share: own }) => sum + (SENT.has(phase) ? 1 : own), 0) / parcels.length : 0;
  setBar($("#tray > .bar"), share);
  $("#tray-title").textContent = open ? `Uploading ${parcels.length - open + Math.min(open, running)} of ${parcels.length}` : title(count);
  const parts = [
    [count("pending"), "being tagged"],
    [count("tagged"), "tagged"],
    [count("existing"), "already here"],
    [count("refused"), "refused"],
    [count("failed"), "could not be tagged"],
    [count("lost") + (signedOut ? count("waiting") : 0), "not sent"],
    [count("stopped"), "cancelled"],
  ];
  $("#tray-sub").textContent = parts.filter(([n]) => n).map(([n, words]) => `${n} ${words}`).join(" · ");
  $("#tray-cancel").hidden = !open;
  $("#tray-retry").hidden = !count("lost") || open > 0;
  $("#tray-foot").hidden = $("#tray-cancel").hidden && $("#tray-retry").hidden;
  $("#tray-signed-out").hidden = !signedOut;
  $(".tray-close").hidden = open > 0;
  if (!open && !running && parcels.length && !drawSummary.said) announce(`Uploads finished: ${$("#tray-sub").textContent}`);
  drawSummary.said = !open && !running;
}

function title(count) {
  if (signedOut) return "You are signed out";
  if (count("lost")) return "Not everything was sent";
  return count("pending") ? "Uploaded" : "Done";
}

function group(items) {
  const found = {};
  for (const item of items) (found[item.phase] ??= []).push(item);
  return found;
}

function fold(folded) {
  $("#tray").classList.toggle("is-folded", folded);
  $(".tray-fold").setAttribute("aria-expanded", String(!folded));
}

export function start() {
  $(".tray-fold").addEventListener("click", () => fold(!$("#tray").classList.contains("is-folded")));
  $(".tray-close").addEventListener("click", () => {
    $("#tray").hidden = true;
    clear();
  });
  $("#tray-cancel").addEventListener("click", () => parcels.forEach(cancel));
  $("#tray-retry").addEventListener("click", allAgain);
  addEventListener("online", allAgain);
  addEventListener("focus", goOn);
  document.addEventListener("visibilitychange", goOn);
  addEventListener("beforeunload", (event) => {
    const unsent = new Set(["waiting", "sending", signedOut ? "lost" : ""]);
    if (parcels.some(({ phase }) => unsent.has(phase))) event.preventDefault();
  });
}
