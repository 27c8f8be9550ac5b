// Searches that are kept: offered by the empty search field, saved by a dialog.

import { $, csrf, toast } from "./dom.js";

/** What the empty field offers: saved searches by name, then what was searched for lately. */
export async function askSearches(url, signal) {
  const response = await fetch(url, { signal, headers: { Accept: "application/json" } });
  if (!response.ok || response.redirected) return [];
  const { saved, recent } = await response.json();
  return [
    ...saved.map((each) => ({ kind: "saved", label: each.name, note: each.query, address: each.address })),
    ...recent.map((each) => ({ kind: "recent", label: each.query, note: "", address: each.address })),
  ];
}

async function save(form) {
  const problem = $("#search-save [data-problem]");
  problem.hidden = true;
  const response = await fetch(form.action, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": csrf() },
    body: new FormData(form),
  }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (response?.ok && answer) {
    $("#search-save").close();
    toast("Saved. You find it in the search field and under “Searches”.");
    return;
  }
  problem.textContent = answer?.detail ?? "That did not work. Try again.";
  problem.hidden = false;
}

export function start() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-save-search]")) $("#search-save").showModal();
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.closest("#search-save") || event.target.method !== "post") return;
    event.preventDefault();
    save(event.target);
  });
}
