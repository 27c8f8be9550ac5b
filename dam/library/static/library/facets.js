// The panel of filters: asked for after the wall, so that no picture waits for a count.

import { $, $$, elements, icon, withModifier } from "./dom.js";
import { recall, remember } from "./wall_view.js";

const OPEN = "vitrine-facets-open";
const FOLDS = "vitrine-facets-folds";
const wide = matchMedia("(min-width: 75rem)");
let inSheet = false; // opened as a sheet on a narrow screen, which no memory opens again

function folds() {
  try {
    return JSON.parse(recall(FOLDS) ?? "{}");
  } catch {
    return {};
  }
}

const wanted = () => (wide.matches ? recall(OPEN) !== "no" : inSheet);

async function load(panel) {
  if (panel.dataset.loaded) return;
  panel.dataset.loaded = "yes";
  panel.setAttribute("aria-busy", "true");
  panel.replaceChildren(closing(), waiting());
  const url = new URL(panel.dataset.address, location.href);
  url.searchParams.set("fragment", "1");
  try {
    const response = await fetch(url);
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    panel.replaceChildren(...elements(await response.text()));
    drawFolds(panel);
    drawTotal(panel);
  } catch {
    delete panel.dataset.loaded;
    const note = Object.assign(document.createElement("p"), { className: "soft", textContent: "The filters could not be counted. " });
    const again = Object.assign(document.createElement("button"), { type: "button", className: "button button-quiet", textContent: "Try again" });
    again.dataset.facetsAgain = "";
    panel.replaceChildren(closing(), note, again);
  } finally {
    panel.removeAttribute("aria-busy");
  }
}

/** So that the sheet can be closed before it has anything to show. */
function closing() {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "icon-button icon-button-small facets-close" });
  button.dataset.facetsClose = "";
  button.setAttribute("aria-label", "Close the filters");
  button.append(icon("close"));
  return button;
}

function waiting() {
  const lines = Object.assign(document.createElement("div"), { className: "skeleton-lines" });
  lines.setAttribute("aria-label", "Being counted");
  lines.setAttribute("role", "img");
  for (let n = 0; n < 5; n += 1) lines.append(Object.assign(document.createElement("span"), { className: "pulse" }));
  return lines;
}

function drawFolds(panel) {
  const remembered = folds();
  for (const facet of $$("[data-facet]", panel)) {
    const chosen = $(".is-selected", facet);
    if (facet.dataset.facet in remembered && !chosen) facet.open = remembered[facet.dataset.facet];
  }
}

/** The panel counts further than the head of the page does. */
function drawTotal(panel) {
  const total = $("[data-total]", panel)?.dataset.total;
  const count = $(".results-count");
  if (total && count && !count.dataset.count) count.textContent = `${total} pictures`;
}

function draw() {
  const panel = $("#facets");
  const button = $("[data-facets-toggle]");
  if (!panel) return;
  const on = wanted();
  panel.hidden = !on;
  document.documentElement.classList.toggle("has-sheet", on && !wide.matches);
  button?.setAttribute("aria-expanded", String(on));
  if (on) load(panel);
}

function set(on) {
  if (wide.matches) remember(OPEN, on ? "yes" : "no");
  inSheet = on;
  draw();
  if (!on) $("[data-facets-toggle]")?.focus();
  else if (!wide.matches) $("#facets").focus();
}

export function start() {
  wide.addEventListener("change", draw);
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !withModifier(event) && !event.shiftKey;
    if (plain && event.target.closest("[data-facets-toggle]") && $("#facets")) {
      event.preventDefault();
      set($("#facets").hidden);
    } else if (event.target.closest("[data-facets-close]")) set(false);
    else if (event.target.closest("[data-facets-again]")) load($("#facets"));
  }, true); // before the link is followed
  document.addEventListener("toggle", (event) => {
    const name = event.target.dataset?.facet;
    if (name && event.target.isConnected) remember(FOLDS, JSON.stringify({ ...folds(), [name]: event.target.open }));
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !event.target.closest?.("#facets") || wide.matches) return;
    event.stopPropagation();
    set(false);
  });
}

export function open(main) {
  const panel = $("#facets", main);
  document.documentElement.classList.remove("has-sheet");
  if (!panel) return;
  panel.tabIndex = -1;
  draw();
}
