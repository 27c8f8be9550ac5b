// Pictures like one that somebody has: chosen with the camera of the search field, or dropped or pasted there.

import { $, announce, toast } from "./dom.js";
import { go } from "./navigate.js";
import { send } from "./send.js";

const POLL_MS = 400;
const WAIT_S = 3; // as on the page to try a picture: no thread of the server is held for longer
const PATIENCE_MS = 60000;
let latest = 0;

async function ask(form, file) {
  const mine = ++latest;
  const field = $(".search-field", form);
  field.classList.add("is-asking");
  announce("Looking for pictures like yours");
  try {
    const found = await answerTo(form.dataset.similarUrl, file, () => mine === latest);
    if (found) await go(form.dataset.exampleUrl.replace("0", found));
  } catch (error) {
    toast(error.message);
  } finally {
    if (mine === latest) field.classList.remove("is-asking");
  }
}

/** The id of the try that the server has answered; null if another picture was chosen meanwhile. */
async function answerTo(url, file, isLatest) {
  const first = await send(url, file, { fields: { wait: WAIT_S } });
  if (first.kind !== "ok") throw new Error(first.said);
  let { status, body } = first;
  const began = performance.now();
  while (status === 202) {
    if (performance.now() - began > PATIENCE_MS) throw new Error("No answer within a minute: tagging is busy or stopped.");
    await new Promise((done) => setTimeout(done, POLL_MS));
    if (!isLatest()) return null;
    const response = await fetch(`${url}${body.id}/`, { headers: { Accept: "application/json" } });
    status = response.status;
    const next = await response.json();
    if (!response.ok) throw new Error(next.detail ?? "The answer could not be had.");
    body = { id: body.id, ...next };
  }
  return isLatest() ? String(body.id) : null;
}

const pictureOf = (files) => [...(files ?? [])].find((file) => !file.type || file.type.startsWith("image/"));

/** Whether a drop is meant for the search field and not for the uploads. */
export const takesDrop = (event) => Boolean(event.target.closest?.("[data-search]"));

export function start() {
  const form = $("[data-search]");
  const input = $("#example-file");
  if (!form || !input) return;
  $("[data-example]", form).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = pictureOf(input.files);
    if (file) ask(form, file);
    input.value = "";
  });
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("is-target");
  });
  form.addEventListener("dragleave", () => form.classList.remove("is-target"));
  form.addEventListener("drop", (event) => {
    form.classList.remove("is-target");
    event.preventDefault();
    const file = pictureOf(event.dataTransfer.files);
    if (file) ask(form, file);
  });
  form.addEventListener("paste", (event) => {
    const file = pictureOf(event.clipboardData?.files);
    if (!file) return;
    event.preventDefault();
    ask(form, file);
  });
}
