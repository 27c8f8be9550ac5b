// The few things that every module needs of the document.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** The cookie first: it changes when one signs in again in another tab, and the page does not. */
export const csrf = () => /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? document.body.dataset.csrf;

/** Whether keys go into this element as text. */
export function isField(element) {
  return element instanceof HTMLElement && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));
}

/** Whether keys that are typed belong to a field. */
export const isTyping = (event) => isField(event.target);

export const withModifier = (event) => event.ctrlKey || event.metaKey || event.altKey;

/** Say something to screen readers. */
export function announce(text) {
  const voice = $("#announcer");
  voice.textContent = "";
  requestAnimationFrame(() => (voice.textContent = text));
}

/** Say something to everybody, for a moment. */
export function toast(text) {
  const note = document.createElement("p");
  note.className = "toast";
  note.textContent = text;
  $("#toasts").replaceChildren(note);
  announce(text);
  setTimeout(() => note.remove(), 4000);
}

export function icon(name, extra = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `icon ${extra}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Fill one of our bars; share in [0, 1]. */
export function setBar(bar, share) {
  const percent = Math.round(share * 1000) / 10;
  $("rect", bar).setAttribute("width", percent);
  if (bar.hasAttribute("aria-valuenow")) bar.setAttribute("aria-valuenow", Math.round(percent));
}

export const percent = (score) => `${Math.min(99, Math.max(1, Math.round(score * 100)))} %`;

/** The elements of a piece of HTML that came from our own server. */
export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}
