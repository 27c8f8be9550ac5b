// The dialog that fetches pictures: one as a file, several as a zip.

import { $, announce } from "./dom.js";
import { ask, complain, complaint, field, make, openDialog, select, selectionOf } from "./share_parts.js";

const ZIP = "/api/v1/downloads/zip/";
const SIZES = [
  ["original", "Original size"],
  ["2560", "Large, 2,560 pixels at most"],
  ["1600", "Medium, 1,600 pixels at most"],
  ["480", "Small, 480 pixels at most"],
  ["own", "A size of my own …"],
];
const FORMATS = [
  ["original", "As it is"],
  ["jpeg", "JPEG"],
  ["png", "PNG"],
  ["webp", "WebP"],
];

/**
 * Open the dialog for `ids` (of pictures), or for what `query` finds without `excluded`. One picture comes as a
 * file, several as a zip.
 */
export function openDownload({ ids, query, excluded, sort } = {}) {
  const single = ids?.length === 1;
  const form = fields(single);
  const note = complaint();
  const button = make("button", { class: "button button-primary" }, "Download");
  form.append(note, make("div", { class: "share-actions" }, button));
  const many = ids ? `Download ${ids.length.toLocaleString("en")} pictures` : "Download these pictures";
  const dialog = openDialog("download-dialog", single ? "Download this picture" : many, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    complain(note, "");
    button.disabled = true;
    try {
      const wanted = valuesOf(form);
      if (single) {
        await one(ids[0], wanted);
        dialog.close();
      } else {
        const zip = await ask("POST", ZIP, { selection: selectionOf({ ids, query, excluded, sort }), ...wanted });
        save(zip.url);
        if (zip.left_out) tellLeftOut(dialog, zip);
        else dialog.close();
      }
      announce("The download begins");
    } catch (error) {
      complain(note, error.message);
    } finally {
      button.disabled = false;
    }
  });
  $("select", form).focus();
  return dialog;
}

function fields(single) {
  const own = make("input", { class: "input", id: "download-own", type: "number", min: 1, max: 30000, step: 1, inputmode: "numeric" });
  const ownField = field("Long side in pixels", own, "Pictures that are smaller stay as they are.");
  const size = select("download-size", SIZES, "original");
  const showOwn = () => {
    ownField.hidden = size.value !== "own";
    own.required = size.value === "own";
  };
  size.addEventListener("change", showOwn);
  showOwn();
  const format = select("download-format", FORMATS, "original");
  const hint = single ? "" : "In the zip lies a list, manifest.csv, with title, credit and licence of each.";
  return make("form", { class: "form" }, field("Size", size), ownField, field("Format", format, hint));
}

function valuesOf(form) {
  const size = $("#download-size", form).value;
  return { size: size === "own" ? $("#download-own", form).value : size, format: $("#download-format", form).value };
}

async function one(id, { size, format }) {
  const url = `/api/v1/assets/${id}/download?${new URLSearchParams({ size, format })}`;
  // Whether one may is asked first: a browser that saves a file would show the refusal as a page.
  let response;
  try {
    response = await fetch(`${url}&check=1`, { headers: { Accept: "application/json" } });
  } catch {
    throw new Error("The connection was lost. Try again.");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => null);
    throw new Error(problem?.detail ?? `That did not work (${response.status}).`);
  }
  save(url);
}

function save(url) {
  const link = make("a", { href: url, download: true, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}

function tellLeftOut(dialog, { files, left_out: leftOut }) {
  const pictures = (number) => `${number.toLocaleString("en")} picture${number === 1 ? "" : "s"}`;
  const close = make("button", { class: "button button-primary", type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  $("form", dialog).replaceWith(
    make(
      "div",
      { class: "form" },
      make("p", {}, `The zip with ${pictures(files)} is being saved.`),
      make("p", {}, `${pictures(leftOut)} cannot be downloaded: no right to the original, expired, or under an embargo. The file left-out.csv in the zip names them.`),
      make("div", { class: "share-actions" }, close),
    ),
  );
  close.focus();
}
