// The dialog that makes a link for people without an account, or changes one.

import { $, announce, icon } from "./dom.js";
import { ask, complain, complaint, field, make, openDialog, select, selectionOf } from "./share_parts.js";

const SHARES = "/api/v1/shares/";
const FIELDS = [
  ["title", "Title"],
  ["description", "Description"],
  ["filename", "File name"],
  ["taken", "Date taken"],
  ["camera", "Camera"],
  ["dimensions", "Size in pixels"],
  ["tags", "Tags"],
  ["credit", "Credit and copyright"],
  ["licence", "Licence"],
];
const USUAL = ["title", "description", "credit", "licence"];
const DAY_MS = 86_400_000;
const LASTING = [
  ["1", "One day"],
  ["7", "One week"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["", "Until it is revoked"],
  ["date", "Until a day …"],
];

/**
 * Open the dialog. Say what is shared by one of these: `ids` (of pictures), `query` (with `excluded`: ids that it
 * finds and are not meant), `collection` or `album` (an id each). `title`: what stands in the field at first.
 * With `share` (as the API answers with it), that link is changed instead; `changed` is called afterwards.
 */
export function openShare({ ids, query, excluded, sort, collection, album, title = "", share = null, changed = () => {} } = {}) {
  const what = collection ? { collection } : album ? { album } : { selection: selectionOf({ ids, query, excluded, sort }) };
  const form = fields(share ?? { title, fields: USUAL }, share);
  const note = complaint();
  const button = make("button", { class: "button button-primary" }, share ? "Save" : "Make the link");
  form.append(note, make("div", { class: "share-actions" }, button));
  const dialog = openDialog("share-dialog", share ? "Change this link" : headingOf({ ids, collection, album }), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    complain(note, "");
    button.disabled = true;
    try {
      const body = valuesOf(form, share);
      const made = share ? await ask("PATCH", `${SHARES}${share.id}/`, body) : await ask("POST", SHARES, { ...what, ...body });
      changed(made);
      if (share) dialog.close();
      else showLink(dialog, made);
    } catch (error) {
      complain(note, error.message);
    } finally {
      button.disabled = false;
    }
  });
  $("#share-title", form).focus();
  return dialog;
}

function headingOf({ ids, collection, album }) {
  if (collection) return "Share this collection";
  if (album) return "Share this album";
  if (ids) return ids.length === 1 ? "Share this picture" : `Share ${ids.length.toLocaleString("en")} pictures`;
  return "Share these pictures";
}

function fields(from, share) {
  const until = make("input", { class: "input", type: "date", id: "share-until", min: isoDay(new Date(Date.now() + DAY_MS)) });
  if (share?.expires_at) until.value = isoDay(new Date(share.expires_at));
  const lasting = select("share-lasting", LASTING, share ? (share.expires_at ? "date" : "") : "30");
  const untilField = field("Until and with", until);
  const showUntil = () => (untilField.hidden = lasting.value !== "date");
  lasting.addEventListener("change", showUntil);
  showUntil();
  const message = make("textarea", { class: "input share-message", id: "share-message", rows: 2, maxlength: 2000 });
  message.value = from.message ?? "";
  const titleField = make("input", { class: "input", id: "share-title", maxlength: 200, autocomplete: "off", value: from.title ?? "" });
  return make(
    "form",
    { class: "form" },
    field("Title", titleField, "Whoever opens the link reads it."),
    field("Message", message),
    make("div", { class: "share-pair" }, field("The link works for", lasting), untilField),
    password(share),
    choices("They may", [["may_download", "Download the pictures, originals included", from.may_download ?? false]]),
    choices("They read of each picture", FIELDS.map(([name, text]) => [name, text, from.fields.includes(name)]), "share-fields"),
  );
}

function password(share) {
  const input = make("input", {
    class: "input",
    id: "share-password",
    type: "password",
    maxlength: 128,
    autocomplete: "new-password",
    placeholder: share?.has_password ? "As it is" : "None",
  });
  const hint = "Tell it to them in another way than the link.";
  if (!share?.has_password) return field("Password", input, hint);
  const remove = check("share-no-password", "No password any more", false);
  return make("div", { class: "stack-small" }, field("Password", input, hint), remove);
}

function choices(legend, all, id = "") {
  return make(
    "fieldset",
    { class: "share-choices", id: id || null },
    make("legend", {}, legend),
    ...all.map(([name, text, on]) => check(`share-${name}`, text, on, name)),
  );
}

function check(id, text, on, value = "") {
  const box = make("input", { type: "checkbox", id, value, checked: on });
  return make("label", { class: "share-check", for: id }, box, make("span", {}, text));
}

function valuesOf(form, share) {
  const body = {
    title: $("#share-title", form).value.trim(),
    message: $("#share-message", form).value.trim(),
    may_download: $("#share-may_download", form).checked,
    fields: [...form.querySelectorAll("#share-fields input:checked")].map((box) => box.value),
    expires_at: endOf($("#share-lasting", form).value, $("#share-until", form).value),
  };
  const typed = $("#share-password", form).value;
  if (typed) body.password = typed;
  else if ($("#share-no-password", form)?.checked) body.password = "";
  else if (!share) body.password = "";
  return body;
}

/** When a link ends; a day that is named is included, where the person is. */
function endOf(lasting, until) {
  if (!lasting) return null;
  if (lasting !== "date") return new Date(Date.now() + Number(lasting) * DAY_MS).toISOString();
  if (!until) throw new Error("Choose the day until which the link works.");
  return new Date(`${until}T23:59:59`).toISOString();
}

function isoDay(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function showLink(dialog, share) {
  const link = make("input", { class: "input", id: "share-link", readonly: true, value: share.url });
  const copy = make("button", { class: "button button-primary", type: "button" }, icon("copy"), "Copy");
  copy.addEventListener("click", () => copyLink(link, copy));
  link.addEventListener("focus", () => link.select());
  const open = make("a", { class: "button", href: share.url, target: "_blank", rel: "noopener" }, "Open it");
  const all = make("a", { class: "button button-quiet", href: "/shares/" }, "All links");
  all.addEventListener("click", () => dialog.close());
  $("form", dialog).replaceWith(
    make(
      "div",
      { class: "form" },
      make("p", {}, share.has_password ? "Whoever has this link and the password sees the pictures." : "Whoever has this link sees the pictures."),
      field("Link", link),
      make("div", { class: "share-actions" }, copy, open, all),
    ),
  );
  $("h2", dialog).textContent = "The link is ready";
  link.focus();
  announce("The link is ready");
}

async function copyLink(input, button) {
  try {
    await navigator.clipboard.writeText(input.value);
    button.lastChild.textContent = "Copied";
    announce("Copied");
  } catch {
    input.select(); // without a secure connection browsers give no clipboard: one key is left to press
    announce("Press control and C to copy");
  }
}
