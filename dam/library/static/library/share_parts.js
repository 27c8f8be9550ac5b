// What the dialogs of sharing and of downloading are made of.

import { csrf, icon } from "./dom.js";

/** An element: `make("p", { class: "soft" }, "text", child)`. Values of true are attributes without one. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** A dialog with a heading and a button that closes it; it leaves the document when it is closed. */
export function openDialog(id, heading, ...children) {
  document.getElementById(id)?.remove();
  const close = make("button", { class: "icon-button", type: "button", "aria-label": "Close" }, icon("close"));
  const dialog = make(
    "dialog",
    { id, "aria-labelledby": `${id}-title`, class: "share-dialog" },
    make("div", { class: "dialog-head" }, make("h2", { id: `${id}-title` }, heading), close),
    ...children,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A field with its label, and with a hint if there is one. */
export function field(label, input, hint = "") {
  const parts = [make("label", { for: input.id }, label), input];
  if (hint) {
    parts.push(make("p", { class: "hint", id: `${input.id}-hint` }, hint));
    input.setAttribute("aria-describedby", `${input.id}-hint`);
  }
  return make("div", { class: "field" }, ...parts);
}

/** A select of [value, text] pairs. */
export function select(id, choices, chosen) {
  const element = make("select", { class: "input", id });
  for (const [value, text] of choices) element.append(make("option", { value, selected: value === chosen }, text));
  return element;
}

/** What the server says to JSON: the body of its answer. Throws an Error with a sentence for people. */
export async function ask(method, url, body) {
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The connection was lost. Try again.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = new Error(
    response.status === 401 ? "You are signed out. Sign in again." : answer?.detail ?? `That did not work (${response.status}).`,
  );
  error.field = Object.keys(answer?.errors ?? {})[0] ?? "";
  throw error;
}

/** What was chosen, as the API has it. */
export function selectionOf({ ids, query, excluded, sort }) {
  if (ids) return { ids: ids.map(Number) };
  return { query: query ?? "", ...(excluded?.length ? { excluded: excluded.map(Number) } : {}), ...(sort ? { sort } : {}) };
}

/** A place in a form for what went wrong. */
export function complaint() {
  return make("p", { class: "field-error", role: "alert", hidden: true });
}

export function complain(place, text) {
  place.textContent = text;
  place.hidden = !text;
}
