// The file of a picture, replaced by another: sent with progress, then the page is drawn anew.

import { $, announce, toast } from "./dom.js";
import { forget, refresh } from "./navigate.js";
import { send } from "./send.js";

let busy = false;

async function replace(input) {
  const [file] = input.files;
  input.value = "";
  if (!file || busy) return;
  busy = true;
  announce(`Sending ${file.name}`);
  document.documentElement.classList.add("is-loading");
  const answer = await send(input.dataset.url, file);
  busy = false;
  document.documentElement.classList.remove("is-loading");
  if (answer.kind !== "ok") {
    toast(answer.said);
    return;
  }
  forget();
  if (input.isConnected) await refresh();
  toast("The file is replaced. The tags follow.");
}

export function start() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-replace]")) $("#asset-replacement").click();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "asset-replacement") replace(event.target);
  });
}
