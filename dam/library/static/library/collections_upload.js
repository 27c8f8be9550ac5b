// Where uploads go: into the collection whose page is open, or the one that was chosen in the menu.

import { $ } from "./dom.js";
import { loadChoices } from "./acts.js";

const CHOSEN = "vitrine-upload-into"; // {id, name}, as long as the tab is open

function chosen() {
  try {
    return JSON.parse(sessionStorage.getItem(CHOSEN)) ?? {};
  } catch {
    return {};
  }
}

/** The collection that uploads from this page go to: {id, name}; empty if the server decides. */
export function here() {
  const page = $("#main [data-upload-into]");
  return page ? { id: page.dataset.uploadInto, name: page.dataset.uploadName } : chosen();
}

/** Whether this page shows at once what goes into a collection. */
export function shows(into) {
  const page = $("#main [data-upload-into]");
  return !page || page.dataset.uploadInto === String(into);
}

export function start() {
  const select = $("#upload-into");
  select.closest("details").addEventListener("toggle", async (event) => {
    if (!event.target.open) return;
    if (!$("[data-fixed]", select)) {
      const plain = new Option("the page’s collection, or the library", "");
      plain.dataset.fixed = "yes";
      select.prepend(plain);
    }
    await loadChoices(select, { chosen: chosen().id ?? "" });
    if (!chosen().id) select.value = "";
  });
  select.addEventListener("change", () => {
    const name = select.selectedOptions[0]?.textContent.trim();
    if (select.value) sessionStorage.setItem(CHOSEN, JSON.stringify({ id: select.value, name }));
    else sessionStorage.removeItem(CHOSEN);
  });
}
