// Keys that work everywhere, the help that lists them, menus, the theme.

import { $, $$, isTyping, withModifier } from "./dom.js";

const THEME = "vitrine-theme";

function openHelp() {
  const dialog = $("#keys");
  if (!dialog.open) dialog.showModal();
}

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function chooseTheme(choice) {
  if (choice === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(THEME);
  } else {
    document.documentElement.dataset.theme = choice;
    localStorage.setItem(THEME, choice);
  }
  showTheme();
}

function showTheme() {
  for (const button of $$("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme()));
  }
}

function closeMenus(except = null) {
  for (const menu of $$("[data-menu][open]")) if (menu !== except) menu.open = false;
}

export function start({ upload }) {
  showTheme();
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const menu = document.activeElement?.closest("[data-menu][open]");
      if (menu) {
        menu.open = false;
        $("summary", menu).focus();
        event.stopPropagation();
      }
      return;
    }
    if (withModifier(event) || isTyping(event) || $("dialog[open]")) return;
    const done = { "/": () => $("#q").select(), "?": openHelp, u: () => upload() }[event.key];
    if (!done) return;
    event.preventDefault();
    if (event.key === "/") $("#q").focus();
    done();
  }, true);
  document.addEventListener("click", (event) => {
    closeMenus(event.target.closest("[data-menu]"));
    if (event.target.closest(".menu-list a, .menu-list [data-opens]")) closeMenus();
    if (event.target.closest("[data-opens=keys]")) openHelp();
    const choice = event.target.closest("[data-theme-choice]");
    if (choice) chooseTheme(choice.dataset.themeChoice);
    if (event.target.matches("dialog")) event.target.close(); // the backdrop
    const trigger = event.target.closest("[data-upload]");
    if (!trigger) return;
    closeMenus();
    upload(trigger.dataset.upload);
  });
}
