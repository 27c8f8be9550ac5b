// The picture of the lightbox in its own size, as far as the preview has it, moved by mouse, finger or arrows.

import { $ } from "./dom.js";

const STEP_PX = 120;
let zoomed = false;

export const isZoomed = () => zoomed;

function set(on, at = null) {
  const stage = $("#lightbox-stage");
  const image = $("#lightbox-picture");
  if (!stage) return;
  const before = image.getBoundingClientRect();
  const share = at ? { x: (at.x - before.left) / before.width, y: (at.y - before.top) / before.height } : { x: 0.5, y: 0.5 };
  zoomed = on;
  stage.classList.toggle("is-zoomed", on);
  $('[data-lightbox="zoom"]').setAttribute("aria-pressed", String(on));
  if (!on) return;
  // What was clicked stays under the pointer.
  stage.scrollLeft = share.x * stage.scrollWidth - stage.clientWidth / 2;
  stage.scrollTop = share.y * stage.scrollHeight - stage.clientHeight / 2;
}

export const reset = () => set(false);

/** Enlarge, or show the whole picture again. One that fits in its own size has nothing to enlarge. */
export function toggle(at = null) {
  const image = $("#lightbox-picture");
  const larger = image.naturalWidth > image.clientWidth + 1 || image.naturalHeight > image.clientHeight + 1;
  set(!zoomed && larger, at);
}

/** Move the enlarged picture by an arrow key; true if there was one to move. */
export function pan(key) {
  if (!zoomed) return false;
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  $("#lightbox-stage").scrollBy(x * STEP_PX, y * STEP_PX);
  return true;
}

export function start() {
  let from = null;
  let moved = false;
  document.addEventListener("pointerdown", (event) => {
    if (event.target.id !== "lightbox-picture" || event.pointerType !== "mouse" || !zoomed) return;
    const stage = $("#lightbox-stage");
    from = { x: event.clientX + stage.scrollLeft, y: event.clientY + stage.scrollTop };
    moved = false;
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!from) return;
    const stage = $("#lightbox-stage");
    const [left, top] = [from.x - event.clientX, from.y - event.clientY];
    if (Math.hypot(left - stage.scrollLeft, top - stage.scrollTop) > 4) moved = true;
    if (moved) stage.scrollTo(left, top);
  });
  document.addEventListener("pointerup", () => (from = null));
  document.addEventListener("click", (event) => {
    if (event.target.id !== "lightbox-picture") return;
    if (!moved) toggle({ x: event.clientX, y: event.clientY });
    moved = false;
  });
}
