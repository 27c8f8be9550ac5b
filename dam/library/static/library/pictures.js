// Tiny blurred pictures stand in until the real ones have arrived. The address is given by the server as an
// attribute and set here, because the page's policy allows no inline style.

import { $$ } from "./dom.js";

export function showPlaceholders(root) {
  for (const holder of $$("[data-placeholder]", root)) {
    holder.style.backgroundImage = `url("${holder.dataset.placeholder}")`;
    holder.removeAttribute("data-placeholder");
    const image = holder.tagName === "IMG" ? null : holder.querySelector("img");
    if (image && !image.complete) {
      image.classList.add("is-waiting");
      image.addEventListener("load", () => image.classList.remove("is-waiting"), { once: true });
      image.addEventListener("error", () => image.remove(), { once: true });
    }
  }
}
