// Pages change without leaving the document, so that uploads go on, and a page that one returns to is the
// very same one: its pictures, its scroll position, its focus. Without this module every link still works.

import { $, announce, isField, toast } from "./dom.js";

const KEPT = 6;
const SECRET = new Set(["tokens", "password"]); // what these show is gone when one leaves
const WITHIN = { asset: "library", collection: "collections", album: "albums" }; // page → the link of the rail that it belongs to
const kept = new Map(); // history key → { main, title, scroll, focus, search }
let here = (!history.state?.lightbox && history.state?.key) || crypto.randomUUID(); // loaded anew, a picture is a page of its own
let search = $("#q")?.defaultValue ?? ""; // of this page, whatever is being typed
let running = null;
const listeners = [];

/** Call back with the <main> of every page that was put in place. */
export function onPage(listener) {
  listeners.push(listener);
}

/** Go to an address of this site. `replace`: in the place of this page in the history. */
export async function go(address, { replace = false } = {}) {
  const url = new URL(address, location.href);
  const page = await load(url);
  if (!page) return;
  if (!replace) {
    keep();
    here = crypto.randomUUID();
  }
  const from = replace ? history.state?.from : $("#main").dataset.page;
  history[replace ? "replaceState" : "pushState"]({ key: here, from }, "", page.address);
  place(page, { fresh: true });
  scrollTo(0, 0);
  // Who types the next search already goes on typing.
  if (!isField(document.activeElement)) $("#main").focus({ preventScroll: true });
  announce([document.title, $(".results-count")?.textContent].filter(Boolean).join(", "));
}

/** Pages that were left are asked for anew: something that they show was changed. */
export const forget = () => kept.clear();

/** The same page again, as it is now. */
export async function refresh() {
  const page = await load(new URL(location.href));
  if (page) place(page, { fresh: true });
}

/** Back to the page that this one was opened from, or to `address` if it was opened by itself. */
export function back(address) {
  if (history.state?.from) history.back();
  else go(address);
}

async function load(url) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  document.documentElement.classList.add("is-loading");
  try {
    const response = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
    const found = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = $("#main", found);
    if (!main) {
      // Signed out, or a page of another kind: let the browser show it.
      location.assign(response.url);
      return null;
    }
    const address = response.redirected ? response.url + url.hash : url.href;
    return { main: document.adoptNode(main), title: found.title, search: $("#q", found)?.value ?? "", address };
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
    return null;
  } finally {
    if (running === mine) document.documentElement.classList.remove("is-loading");
  }
}

function keep() {
  const main = $("#main");
  if (SECRET.has(main.dataset.page)) return;
  const focus = main.contains(document.activeElement) ? document.activeElement : null;
  kept.delete(here);
  kept.set(here, { main, title: document.title, scroll: scrollY, focus, search });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

function place(page, { fresh }) {
  $("#main").replaceWith(page.main);
  document.title = page.title;
  const section = WITHIN[page.main.dataset.page] ?? page.main.dataset.page;
  for (const link of document.querySelectorAll("[data-section]")) {
    if (link.dataset.section === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  search = page.search;
  const field = $("#q");
  if (field && !(fresh && document.activeElement === field)) field.value = search;
  if (fresh) window.htmx?.process(page.main);
  else window.htmx?.trigger(page.main, "vitrine:returned"); // what it was asking for regularly, it stopped to ask
  for (const listener of listeners) listener(page.main);
}

async function onPopState(event) {
  const key = event.state?.key;
  if (!key || (key === here && $("#lightbox"))) return; // the lightbox is over the same page
  keep();
  const left = $("#main article[data-asset]")?.dataset.asset;
  here = key;
  const page = kept.get(key);
  if (!page) {
    const loaded = await load(new URL(location.href));
    if (!loaded) return;
    place(loaded, { fresh: true });
    if (!isField(document.activeElement)) returnTo(left);
    return;
  }
  place(page, { fresh: false });
  scrollTo(0, page.scroll);
  returnTo(left, page.focus);
}

/** From a picture one returns to its place among the others, wherever one had paged to meanwhile. */
function returnTo(asset, otherwise = null) {
  const card = asset && $(`.card[data-asset-id="${asset}"] .card-link`);
  (card || otherwise)?.focus({ preventScroll: true });
  if (card) card.scrollIntoView({ block: "nearest" });
}

function pageLink(event) {
  const link = event.target.closest("a[href]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.hasAttribute("download") || "full" in link.dataset) return null;
  return link.origin === location.origin && link.protocol.startsWith("http") ? link : null;
}

export function start() {
  history.scrollRestoration = "manual";
  history.replaceState({ ...history.state, key: here, lightbox: undefined }, "");
  addEventListener("popstate", onPopState);
  document.addEventListener("click", (event) => {
    const link = event.defaultPrevented ? null : pageLink(event);
    if (!link || (link.hash && link.pathname === location.pathname)) return;
    event.preventDefault();
    if ("back" in link.dataset) back(link.href);
    else go(link.href, { replace: Boolean(link.closest(".stage")) });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "get") return;
    event.preventDefault();
    const values = new URLSearchParams([...new FormData(form)].filter(([, value]) => String(value).trim()));
    if ("search" in form.dataset) {
      // The form stays while pages change, so its own sort is that of the page that came first.
      const sort = new URLSearchParams(location.search).get("sort");
      if (sort) values.set("sort", sort);
      else values.delete("sort");
    }
    go(`${form.action}?${values}`.replace(/\?$/, ""));
  });
  // What htmx loads may be the sign-in page, when the session ended meanwhile.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname.startsWith("/sign-in/")) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
  document.addEventListener("htmx:responseError", (event) => {
    const refused = event.detail.xhr.status === 403;
    toast(refused ? "You may not do that, or you signed in again elsewhere: load the page anew." : "That did not work. Try again.");
  });
  document.addEventListener("htmx:sendError", () => toast("The server does not answer. Nothing was changed."));
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "main" || event.detail.elt.id === "main") {
      for (const listener of listeners) listener($("#main"));
    }
  });
}
