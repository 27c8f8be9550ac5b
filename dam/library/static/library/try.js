// A picture's tags without keeping the picture.

import { $, percent, setBar, toast } from "./dom.js";
import { filesOf } from "./drop.js";
import { send } from "./send.js";

const POLL_MS = 400;
const WAIT_S = 3;
const PATIENCE_MS = 60000;
let page = null;
let latest = 0;

/** Whether a drop belongs to this page and not to the uploads. */
export const takesDrop = () => Boolean(page?.isConnected);

async function ask(file) {
  const mine = ++latest;
  const isStale = () => mine !== latest || !page?.isConnected;
  showPicture(file);
  const began = performance.now();
  $("#try-time").textContent = "";
  waiting();
  const answer = await send(page.dataset.url, file, { fields: { wait: WAIT_S } });
  if (isStale()) return;
  if (answer.kind !== "ok") return problem(answer.said);
  let { body } = answer;
  while (!body.tags) {
    if (performance.now() - began > PATIENCE_MS) return problem("No answer within a minute: tagging is busy or stopped.");
    await new Promise((done) => setTimeout(done, POLL_MS));
    const response = await fetch(`${page.dataset.url}${body.id}/`, { headers: { Accept: "application/json" } });
    if (isStale()) return;
    body = await response.json();
    if (!response.ok) return problem(body.detail ?? "The answer could not be had.");
  }
  $("#try-time").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
  show(body.tags);
}

function showPicture(file) {
  const image = $("#try-picture");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.hidden = false;
  image.onerror = () => (image.hidden = true); // a kind that this browser cannot show, and the server can
  $("#try-ask").hidden = true;
  $("#try-drop").classList.add("has-picture");
  $("#try-again").hidden = false;
  $("#try-name").textContent = file.name;
}

function waiting() {
  const lines = document.createElement("div");
  lines.className = "skeleton-lines";
  lines.setAttribute("aria-label", "Being tagged");
  for (let n = 0; n < 3; n += 1) lines.append(Object.assign(document.createElement("span"), { className: "pulse" }));
  $("#try-answer").replaceChildren(lines);
}

function problem(text) {
  const note = document.createElement("p");
  note.className = "notice notice-danger";
  note.setAttribute("role", "alert");
  note.textContent = text;
  $("#try-answer").replaceChildren(note);
}

function show(tags) {
  if (!tags.length) {
    const note = document.createElement("p");
    note.className = "soft";
    note.textContent = "Nothing was sure enough to be suggested.";
    $("#try-answer").replaceChildren(note);
    return;
  }
  const list = document.createElement("ul");
  list.className = "try-tags";
  for (const tag of tags) {
    const item = $("#try-tag", page.parentElement).content.firstElementChild.cloneNode(true);
    $(".claim-name", item).textContent = tag.name;
    $(".claim-name", item).href = `${page.dataset.library}?q=${encodeURIComponent(`tag:${tag.slug}`)}`;
    $(".claim-score", item).textContent = percent(tag.score);
    setBar($(".bar", item), tag.score);
    list.append(item);
  }
  $("#try-answer").replaceChildren(list);
}

function take(files) {
  if (!files.length) return;
  if (files.length > 1) toast("One picture at a time here: the first one is tried.");
  ask(files[0]);
}

export function start() {
  addEventListener("drop", async (event) => {
    if (takesDrop() && event.dataTransfer?.files.length) take(await filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (takesDrop() && files.length) take(files);
  });
}

export function open(main) {
  page = $("[data-try]", main);
  if (!page || page.dataset.ready) return;
  page.dataset.ready = "yes";
  const input = $("#try-file");
  for (const id of ["#try-choose", "#try-other"]) $(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
}
