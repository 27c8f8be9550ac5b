// Files and folders that are dropped anywhere on the page.

import { $ } from "./dom.js";

const NOT_PICTURES = /^(\.|thumbs\.db$|desktop\.ini$)/i;

// A picture that is dragged out of the page itself comes as a file, too, and is none to upload.
let fromHere = false;
const hasFiles = (event) => !fromHere && [...(event.dataTransfer?.types ?? [])].includes("Files");

/** Every file in what was dropped, folders opened, hidden files left out. */
export async function filesOf(transfer) {
  // The entries have to be taken before the first await: the list is emptied when the event is over.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const roots = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of roots) {
    if (entry?.isDirectory) await walk(entry, found);
    else if (file) found.push(file);
  }
  return found;
}

async function walk(folder, found) {
  const reader = folder.createReader();
  for (;;) {
    // A reader gives at most a hundred entries at a time, and none at the end.
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return;
    for (const entry of entries) {
      if (NOT_PICTURES.test(entry.name)) continue;
      if (entry.isDirectory) await walk(entry, found);
      else found.push(await new Promise((done, failed) => entry.file(done, failed)));
    }
  }
}

export const wanted = (files) => [...files].filter((file) => !NOT_PICTURES.test(file.name));

/** `take` gets the files; `isElsewhere` says whether the page itself wants this drop. */
export function start({ take, isElsewhere }) {
  const veil = $("#drop-veil");
  let depth = 0;
  const hide = () => {
    depth = 0;
    veil.hidden = true;
  };
  addEventListener("dragstart", () => (fromHere = true));
  addEventListener("dragend", () => (fromHere = false));
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    veil.hidden = isElsewhere(event);
  });
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) hide();
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hide();
    if (isElsewhere(event)) return;
    take(await filesOf(event.dataTransfer));
  });
  for (const id of ["#upload-files", "#upload-folder"]) {
    const input = $(id);
    input.addEventListener("change", () => {
      take(wanted(input.files));
      input.value = "";
    });
  }
}
