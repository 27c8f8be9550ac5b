// A text field with suggestions, after the combobox pattern of the ARIA authoring practices.

const PAUSE_MS = 110;

/**
 * @param {HTMLInputElement} input with aria-controls naming its listbox
 * @param {(text: string, signal: AbortSignal) => Promise<Array>} ask for the suggestions of what was typed
 * @param {(suggestion) => HTMLElement[]} draw the inside of an option
 * @param {(suggestion) => void} choose
 * @param {{hint?: boolean}} options hint: the panel opens without suggestions too
 */
export function combobox(input, { ask, draw, choose, hint = false }) {
  const list = document.getElementById(input.getAttribute("aria-controls"));
  const panel = list.parentElement;
  let found = [];
  let active = -1;
  let timer = null;
  let running = null;

  function show(suggestions) {
    found = suggestions;
    active = -1;
    list.replaceChildren(
      ...found.map((suggestion, place) => {
        const option = document.createElement("div");
        option.className = "suggestion";
        option.id = `${list.id}-${place}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.append(...draw(suggestion));
        return option;
      }),
    );
    list.hidden = !found.length;
    panel.hidden = !(found.length || hint) || document.activeElement !== input;
    input.setAttribute("aria-expanded", String(!panel.hidden && found.length > 0));
    input.removeAttribute("aria-activedescendant");
  }

  function close() {
    clearTimeout(timer);
    running?.abort();
    panel.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function activate(place) {
    active = (place + found.length + 1) % (found.length + 1);
    if (active === found.length) active = -1; // between last and first: the field itself
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    if (active < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    input.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function take(place) {
    const suggestion = found[place];
    close();
    choose(suggestion);
  }

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      running?.abort();
      running = new AbortController();
      try {
        show(await ask(input.value, running.signal));
      } catch (error) {
        if (error.name !== "AbortError") close();
      }
    }, PAUSE_MS);
  }

  input.addEventListener("input", askSoon);
  input.addEventListener("focus", askSoon);
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus in the field
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take([...list.children].indexOf(option));
  });
  list.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role=option]");
    const place = option ? [...list.children].indexOf(option) : -1;
    if (place >= 0 && place !== active) activate(place);
  });
  input.addEventListener("keydown", (event) => {
    const open = !panel.hidden && found.length > 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) askSoon();
      else if (event.key === "ArrowDown") activate(active + 1);
      else activate(active < 0 ? found.length - 1 : active - 1 < 0 ? found.length : active - 1);
    } else if (event.key === "Enter" && open && active >= 0) {
      event.preventDefault();
      take(active);
    } else if (event.key === "Tab" && open && active >= 0) {
      take(active);
    } else if (event.key === "Escape" && !panel.hidden) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  return { close };
}
