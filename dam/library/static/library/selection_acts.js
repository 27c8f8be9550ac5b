// What people do with the pictures that they selected: each act is one request to the API.

import { $, announce, csrf, isTyping, toast, withModifier } from "./dom.js";
import { combobox } from "./combobox.js";
import { openDownload } from "./download.js";
import { currentWall, redrawCards } from "./grid.js";
import { refresh } from "./navigate.js";
import { askTags, drawTag } from "./search.js";
import { actOn, clearSelection, selectionBody, shownIds } from "./selection.js";
import { openShare } from "./share.js";

const TITLES = {
  tag: "Tag these pictures",
  album: "Add to an album",
  move: "Move to a collection",
  rights: "Edit rights",
  trash: "Move to the trash?",
};
const KEYS = { t: "tag", a: "album", m: "move", e: "rights", d: "download", s: "share", Delete: "trash" };
let target = null; // what the open dialog is for

/** Send JSON to the API; what it answers, or an error with a sentence for people. */
export async function sendJson(url, body, method = "POST") {
  const response = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const fields = Object.values(answer?.errors ?? {}).flat().map(String);
  throw new Error([answer?.detail ?? "The server could not do it.", ...fields].join(" "));
}

/** Begin an act for the selected pictures, or for those that are named. */
export async function begin(act, selection = actOn()) {
  if (!selection) return toast("Select pictures first: x selects the one that has the focus.");
  if (act === "download") return openDownload(selection);
  if (act === "share") return openShare(selection);
  const dialog = $("#selection-dialog");
  const address = $("#selection").dataset.dialogs.replace("kind", act);
  const response = await fetch(address).catch(() => null);
  if (!response?.ok || response.redirected) return toast("That did not work. Try again.");
  target = { act, selection, shown: selection.ids?.map(String) ?? shownIds(), from: selectionBody() };
  const form = $("#selection-form");
  form.innerHTML = await response.text();
  $("#selection-dialog-title").textContent = TITLES[act];
  $("#selection-problem").hidden = true;
  if (act === "tag") suggestTags(form);
  dialog.showModal();
  $("select, input, .button", form)?.focus();
}

function suggestTags(form) {
  const input = $("#selection-tag", form);
  combobox(input, {
    ask: async (text, signal) => (text.trim() ? (await askTags(input.dataset.tagsUrl, text, signal)).slice(0, 8) : []),
    draw: (tag) => drawTag(tag, input.value.trim()),
    choose: (tag) => (input.value = tag.name),
  });
}

/** The body of the request for what stands in the form. */
async function bodyOf(act, form) {
  const values = Object.fromEntries(new FormData(form));
  if (act === "move") return { action: "move", collection: Number(values.collection) };
  if (act === "tag") return { action: values.action, tag: values.tag.trim() };
  if (act === "album") return { action: "album-add", album: Number(values.album) || (await newAlbum(values.name)) };
  if (act === "trash") return { action: "trash" };
  const changes = Object.entries(values).filter(([, value]) => value);
  if (!changes.length) throw new Error("Fill in what shall change.");
  return { action: "edit", fields: Object.fromEntries(changes.map(([name, value]) => [name, value.trim()])) };
}

async function newAlbum(name) {
  if (!name?.trim()) throw new Error("Choose an album, or give a new one a name.");
  const albums = $("#selection").dataset.bulk.replace("assets/bulk/", "albums/");
  return (await sendJson(albums, { name: name.trim() })).id;
}

async function submit(form) {
  const { act, selection, shown, from } = target;
  const button = $(".button-primary, .button-danger", form);
  const problem = $("#selection-problem");
  problem.hidden = true;
  if (button) button.disabled = true;
  try {
    const body = await bodyOf(act, form);
    const answer = await sendJson($("#selection").dataset.bulk, { selection, ...body });
    $("#selection-dialog").close();
    tell(answer);
    document.dispatchEvent(new CustomEvent("vitrine:acted", { detail: { act, ids: shown } }));
    if (from) clearSelection();
    if (selection.query !== undefined) await refresh();
    else await redrawCards(shown);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    if (button) button.disabled = false;
  }
}

/** How many were changed, and which were not. */
function tell({ changed, refused = [] }) {
  const done = `${changed.toLocaleString("en")} picture${changed === 1 ? "" : "s"} changed`;
  if (!refused.length) return toast(done);
  const names = refused.slice(0, 3).map((each) => each.name || each.asset_id || each.id);
  const others = refused.length > 3 ? ` and ${(refused.length - 3).toLocaleString("en")} more` : "";
  toast(`${done}. Not changed: ${names.join(", ")}${others}. ${refused[0].reason ?? ""}`);
}

function onKey(event) {
  if (!currentWall() || withModifier(event) || event.shiftKey || isTyping(event) || $("dialog[open]")) return;
  if (event.target.closest?.(".menu, .tray, .facets, .scrubber")) return;
  const act = KEYS[event.key];
  if (!act || !actOn()) return;
  event.preventDefault();
  begin(act);
}

export function start() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) begin(button.dataset.do);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "selection-form") return;
    event.preventDefault();
    submit(event.target);
  });
  // An open album in the list needs no name for a new one.
  document.addEventListener("change", (event) => {
    if (event.target.id !== "album-to") return;
    $("#album-name").closest(".field").hidden = Boolean(event.target.value);
    announce(event.target.value ? "" : "Give the new album a name");
  });
}
