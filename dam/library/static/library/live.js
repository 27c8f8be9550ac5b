// Parts of a page that ask by themselves how it stands. A hidden tab does not ask, and one that comes back does.

import { $$ } from "./dom.js";

export function start() {
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.closest?.("[data-live]")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const part of $$("[data-live]")) window.htmx?.trigger(part, "vitrine:look");
  });
}
