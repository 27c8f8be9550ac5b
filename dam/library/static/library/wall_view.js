// How the wall is shown: as a grid or a list, and how large. Remembered by the browser.

import { $, $$ } from "./dom.js";
import { relayout } from "./grid.js";

const VIEW = "vitrine-wall-view";
const SIZE = "vitrine-wall-size";

/** What the browser remembers; null without storage. */
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // switched off: nothing is remembered
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Switched off: it holds as long as the page.
  }
}

function apply(wall) {
  const view = recall(VIEW) === "list" ? "list" : "grid";
  wall.classList.toggle("is-list", view === "list");
  $(".list-head")?.classList.toggle("is-shown", view === "list");
  for (const button of $$("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  const slider = $("[data-size]");
  const size = Number(recall(SIZE));
  if (size) wall.style.setProperty("--row", `${size}rem`);
  if (!slider) return;
  slider.value = size || parseFloat(getComputedStyle(wall).getPropertyValue("--row"));
  slider.closest("label").hidden = view === "list";
  $(".view-switch").hidden = false;
}

export function start() {
  document.addEventListener("vitrine:wall", (event) => apply(event.target));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-view]");
    const wall = button && $("#wall");
    if (!wall) return;
    remember(VIEW, button.dataset.view);
    const first = $$(".card", wall).find((card) => card.getBoundingClientRect().bottom > 80);
    apply(wall);
    relayout();
    if (scrollY > 0) first?.scrollIntoView({ block: "center", behavior: "instant" });
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-size]")) return;
    remember(SIZE, event.target.value);
    $("#wall")?.style.setProperty("--row", `${event.target.value}rem`);
    relayout();
  });
}
