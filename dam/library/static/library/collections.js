// The tree of collections: folding, dragging one onto another; and the editor of grants.

import { $, $$, toast } from "./dom.js";
import { act } from "./acts.js";

const FOLDED = "vitrine-folded"; // ids of collections that this tab keeps folded, and "+id" of those it unfolded
const OPENS_MS = 700;
let dragged = null; // { line, address, path }
let over = null;
let opening = null;

const remembered = () => new Set((sessionStorage.getItem(FOLDED) ?? "").split(",").filter(Boolean));

function fold(button, open) {
  button.setAttribute("aria-expanded", String(open));
  document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
}

function toggle(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  fold(button, open);
  const { collection } = button.closest(".node").dataset;
  const kept = remembered();
  kept.delete(open ? collection : `+${collection}`);
  kept.add(open ? `+${collection}` : collection);
  sessionStorage.setItem(FOLDED, [...kept].join(","));
}

/** Where what is dragged may be put down: not in itself, nor where it lies already. */
function target(event) {
  const line = dragged && event.target.closest?.("[data-takes]");
  if (!line || line === dragged.line) return null;
  const node = line.closest(".node");
  if (node.dataset.path.startsWith(dragged.path)) return null;
  return dragged.line.closest(".node").parentElement.closest(".node") === node ? null : line;
}

function mark(line) {
  if (line === over) return;
  over?.classList.remove("is-over");
  clearTimeout(opening);
  over = line;
  over?.classList.add("is-over");
  const button = over && $(".node-fold[aria-expanded=false]", over);
  if (button) opening = setTimeout(() => fold(button, true), OPENS_MS);
}

export function start() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".node-fold[aria-controls]");
    if (button) toggle(button);
  });
  document.addEventListener("dragstart", (event) => {
    const line = event.target.closest?.("[data-movable]");
    if (!line) return;
    dragged = { line, address: line.dataset.movable, path: line.closest(".node").dataset.path };
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", $(".node-name", line).textContent);
    line.classList.add("is-dragged");
  });
  document.addEventListener("dragover", (event) => {
    if (!dragged) return;
    const line = target(event);
    mark(line);
    if (!line) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
  });
  document.addEventListener("drop", async (event) => {
    const line = target(event);
    if (!line) return;
    event.preventDefault();
    const body = new FormData();
    body.append("parent", line.dataset.takes);
    const { address } = dragged;
    end();
    await act(address, body, { refused: ({ problem }) => toast(problem) });
  });
  document.addEventListener("dragend", end);
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-grant-to]")) showName(event.target);
  });
}

function end() {
  dragged?.line.classList.remove("is-dragged");
  mark(null);
  dragged = null;
}

function showName(select) {
  const field = $("[data-grant-name]", select.form);
  const input = $("input", field);
  field.hidden = select.value === "everybody";
  input.required = !field.hidden;
  input.setAttribute("list", select.value === "group" ? "grant-groups" : "grant-users");
}

export function open(main) {
  const kept = remembered();
  for (const button of $$(".node-fold[aria-controls]", main)) {
    const { collection } = button.closest(".node").dataset;
    if (kept.has(collection)) fold(button, false);
    else if (kept.has(`+${collection}`)) fold(button, true);
  }
  for (const select of $$("[data-grant-to]", main)) showName(select);
}
