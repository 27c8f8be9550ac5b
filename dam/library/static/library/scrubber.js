// Years and months beside the wall: the way to a date, and where one is.

import { $, $$, elements } from "./dom.js";

const wide = matchMedia("(min-width: 52.01rem)");

/** Asked for where there is more than one page: what one sees at once needs no way there. */
async function load(nav) {
  if (nav.dataset.loaded) return;
  nav.dataset.loaded = "yes";
  const response = await fetch(nav.dataset.address).catch(() => null);
  if (!response?.ok || response.redirected) return; // the wall is whole without it
  nav.replaceChildren(...elements(await response.text()));
  nav.hidden = !nav.children.length;
  $$("details", nav).forEach((fold) => (fold.open = wide.matches));
  mark(nav);
}

function mark(nav) {
  const at = new URLSearchParams(location.search).get("at");
  for (const month of $$("[data-month]", nav)) {
    if (month.dataset.month === at) month.setAttribute("aria-current", "true");
    else month.removeAttribute("aria-current");
  }
  $("[aria-current]", nav)?.scrollIntoView({ block: "nearest" });
}

export function start() {
  wide.addEventListener("change", () => {
    for (const fold of $$(".scrubber-fold")) fold.open = wide.matches;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest(".scrubber a") && !wide.matches) event.target.closest("details").open = false;
  });
}

export function open(main) {
  const nav = $("#scrubber", main);
  if (nav && ($("[data-more]", main) || $("[data-earlier]", main))) load(nav);
}
