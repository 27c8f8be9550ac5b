// Forms that do something (data-act), the dialogs that they stand in, and parts of a page that are loaded later.
// The server answers {said, go} when it is done, and {problem, field} when it refuses.

import { $, $$, csrf, elements, toast } from "./dom.js";
import { forget, go, onPage, refresh } from "./navigate.js";
import { openDownload } from "./download.js";
import { showPlaceholders } from "./pictures.js";
import { openShare } from "./share.js";

let opener = ""; // id of the control that opened the dialog: the focus returns to it, though the page was redrawn

/** Do something on the server; true when it was done. `refused` gets its sentence otherwise. */
export async function act(address, body, { refused = (problem) => toast(problem.problem) } = {}) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      body,
      headers: { Accept: "application/json", "X-CSRFToken": csrf() },
    });
  } catch {
    refused({ problem: "The server does not answer. Nothing was changed." });
    return false;
  }
  if (response.redirected) {
    location.reload(); // signed out meanwhile: the page leads to the door
    return false;
  }
  const answer = await response.json().catch(() => ({ problem: "That did not work. Load the page anew and try again." }));
  if (!response.ok) {
    refused(answer);
    return false;
  }
  await done(answer);
  return true;
}

async function done({ said, go: address }) {
  for (const dialog of $$("dialog[open]")) dialog.close();
  forget();
  const back = opener || document.activeElement?.id;
  if (address && address !== location.pathname + location.search) await go(address);
  else {
    await refresh();
    const control = back && document.getElementById(back);
    (control || $("#main")).focus({ preventScroll: true });
  }
  opener = "";
  if (said) toast(said);
}

async function submit(form, submitter) {
  if (form.dataset.busy) return;
  const question = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !window.confirm(question)) return;
  form.dataset.busy = "yes";
  const line = $("[data-problem]", form);
  if (line) line.hidden = true;
  $$("[aria-invalid]", form).forEach((field) => field.removeAttribute("aria-invalid"));
  const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  await act(address, new FormData(form, submitter), { refused: (problem) => refuse(form, line, problem) });
  delete form.dataset.busy;
}

function refuse(form, line, { problem, field, conflict }) {
  if (!line) {
    toast(problem);
    return;
  }
  line.textContent = problem;
  line.hidden = false;
  const named = field && form.elements[field];
  if (named?.focus) {
    named.setAttribute("aria-invalid", "true");
    named.focus();
  }
  const anyway = conflict && $("[data-anyway]", form);
  if (anyway) {
    anyway.hidden = false;
    anyway.value = conflict;
  }
}

// --------------------------------------------------------------- dialogs

/** Open the dialog that a control names; its data-value-* fill the fields, data-action is where the form goes. */
function openDialog(control) {
  const dialog = document.getElementById(control.dataset.dialog);
  const form = $("form[data-act]", dialog);
  opener = control.id;
  if (form) {
    form.reset();
    if (control.dataset.action) form.setAttribute("action", control.dataset.action);
    for (const element of $$("[data-problem], [data-anyway]", form)) element.hidden = true;
  }
  for (const place of $$("[data-about]", dialog)) place.textContent = control.dataset.about ?? "";
  for (const [key, value] of Object.entries(control.dataset)) {
    if (!key.startsWith("value") || !form) continue;
    const name = key.slice(5).replace(/^./, (letter) => letter.toLowerCase()).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (form.elements[name]) form.elements[name].value = value;
  }
  if (form?.elements.name) form.elements.name.readOnly = control.dataset.keeps === "name";
  for (const select of $$("select[data-choices]", dialog)) loadChoices(select, control.dataset);
  control.closest("[popover]")?.hidePopover();
  const menu = control.closest("details[data-menu]");
  if (menu) menu.open = false;
  dialog.showModal();
}

/** The collections that one may choose from; the one that is moved stands dimmed with all below it. */
export async function loadChoices(select, { chosen = "", without = "" } = {}) {
  const response = await fetch(select.dataset.choices, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok || response.redirected) return;
  const first = $$("option[data-fixed]", select);
  select.replaceChildren(...first, ...elements(await response.text()));
  for (const option of select.options) {
    option.disabled = Boolean(without) && (option.dataset.path ?? "").startsWith(without);
  }
  if (chosen) select.value = chosen;
  if (select.selectedIndex < 0 || select.selectedOptions[0]?.disabled) {
    select.value = [...select.options].find((option) => !option.disabled)?.value ?? "";
  }
}

// -------------------------------------------------- shares and downloads

function handOut({ shareIds, shareAlbum, shareCollection, downloadIds, downloadQuery }) {
  if (shareIds) openShare({ ids: shareIds.split(",").map(Number) });
  else if (shareAlbum) openShare({ album: Number(shareAlbum) });
  else if (shareCollection) openShare({ collection: Number(shareCollection) });
  else if (downloadIds) openDownload({ ids: downloadIds.split(",").map(Number) });
  else openDownload({ query: downloadQuery });
}

// ---------------------------------------------------- parts loaded later

async function fill(part) {
  if (part.dataset.filled) return;
  part.dataset.filled = "yes";
  const response = await fetch(part.dataset.load, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok || response.redirected) {
    delete part.dataset.filled;
    return;
  }
  part.innerHTML = await response.text();
  showPlaceholders(part);
}

export function open(main) {
  for (const part of $$("[data-load]", main)) {
    const fold = part.closest("details");
    if (!fold || fold.open) fill(part);
    else fold.addEventListener("toggle", () => fill(part), { once: true });
  }
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named) requestAnimationFrame(() => named.scrollIntoView());
}

// ------------------------------------------------------ several of a list

/** A form whose checkboxes choose: its count, “all”, and the buttons that need something chosen. */
function choose(form, { all = null } = {}) {
  const boxes = $$("input[type=checkbox][name=ids]", form);
  if (all) for (const box of boxes) box.checked = all.checked;
  const chosen = boxes.filter((box) => box.checked).length;
  for (const button of $$("[data-needs-choice]", form)) button.disabled = !chosen;
  for (const place of $$("[data-chosen]", form)) place.textContent = chosen ? `${chosen} chosen` : "";
  const head = $("[data-choose-all]", form);
  if (head) {
    head.checked = chosen > 0 && chosen === boxes.length;
    head.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

export function start() {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-act]")) return;
    event.preventDefault();
    submit(event.target, event.submitter);
  });
  document.addEventListener("click", (event) => {
    const control = event.target.closest("[data-dialog]");
    if (control) openDialog(control);
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    const hand = event.target.closest("[data-share-ids], [data-share-album], [data-share-collection], [data-download-ids], [data-download-query]");
    if (hand) handOut(hand.dataset);
    const rail = event.target.closest("#rail-more a");
    if (rail) $("#rail-more").hidePopover?.();
  });
  document.addEventListener("change", (event) => {
    const { target } = event;
    if (target.matches("[data-submits]")) target.form.requestSubmit();
    const form = target.closest("form[data-choosing]");
    if (form) choose(form, { all: target.matches("[data-choose-all]") ? target : null });
  });
  onPage(open);
}
