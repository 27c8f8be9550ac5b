// The search field: tags are suggested for the last words before the caret.

import { $, icon } from "./dom.js";
import { combobox } from "./combobox.js";
import { askSearches } from "./wall_searches.js";
import { go } from "./navigate.js";

const MOST_WORDS = 3;
const MOST_OFFERED = 8;
const MOST_FIELDS = 3;

/** Tags that fit a text, from the API. */
export async function askTags(url, text, signal) {
  const address = new URL(url, location.href);
  address.searchParams.set("q", text.slice(0, 100));
  address.searchParams.set("limit", "8");
  const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
  if (!response.ok) return [];
  return (await response.json()).results;
}

/** What stands inside an option: the name with what was typed marked, a synonym, how many pictures. */
export function drawTag(suggestion, typed) {
  const name = document.createElement("span");
  const at = suggestion.name.toLowerCase().indexOf(typed.toLowerCase());
  if (typed && at >= 0) {
    const mark = document.createElement("mark");
    mark.textContent = suggestion.name.slice(at, at + typed.length);
    name.append(suggestion.name.slice(0, at), mark, suggestion.name.slice(at + typed.length));
  } else {
    name.textContent = suggestion.name;
  }
  const parts = [icon("tag"), name];
  const notes = [suggestion.matched && `“${suggestion.matched}”`, countText(suggestion.count)].filter(Boolean);
  if (notes.length) {
    const note = document.createElement("span");
    note.className = "suggestion-note";
    note.textContent = notes.join(" · ");
    parts.push(note);
  }
  return parts;
}

/** Filters that what is being typed may become, such as `width:`. */
async function askFields(url, text, signal) {
  const address = new URL(url, location.href);
  address.searchParams.set("q", text.slice(0, 100));
  const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
  if (!response.ok || response.redirected) return [];
  return ((await response.json()).fields ?? []).map((field) => ({ ...field, kind: "field" }));
}

const GLYPHS = { field: "filter", saved: "bookmark", recent: "clock" };

/** A filter, a saved search or a recent one, with what it means. */
function drawOther(suggestion) {
  const name = document.createElement("span");
  name.textContent = suggestion.label ?? suggestion.term;
  if (suggestion.kind === "field") name.className = "mono";
  const note = document.createElement("span");
  note.className = "suggestion-note";
  note.textContent = suggestion.kind === "field" ? suggestion.meaning : suggestion.note;
  return [icon(GLYPHS[suggestion.kind]), name, note];
}

function countText(count) {
  if (count === null || count === undefined) return "";
  if (typeof count === "object") return `${count.value.toLocaleString("en")}${count.exact ? "" : "+"}`;
  return Number(count).toLocaleString("en");
}

/**
 * The stretches of text before the caret that may be the beginning of a tag's name, longest first:
 * in `-golden ret|` that is “golden ret” and “ret”. A dash stays what it is.
 */
export function stretches(text, caret) {
  const before = text.slice(0, caret);
  const words = [...before.matchAll(/[^\s()]+/g)].map((match) => ({ at: match.index, text: match[0] }));
  if (!words.length || /[\s()]$/.test(before) || (before.match(/"/g) ?? []).length % 2) return [];
  const found = [];
  for (let first = words.length - 1; first >= Math.max(0, words.length - MOST_WORDS); first -= 1) {
    const raw = words[first].text;
    const start = words[first].at + (raw.startsWith("-") ? 1 : 0);
    const typed = before.slice(start).replace(/^tag:/, "");
    if (typed) found.unshift({ start, typed });
    // A tag, a filter or a negation begins here: names do not reach across it.
    if (/^-|[:"]|^(OR|AND)$/.test(raw)) break;
  }
  return found.filter(({ typed }) => !/^(OR|AND)$/.test(typed) && !typed.includes('"'));
}

export function start() {
  const form = $("[data-search]");
  const input = $("#q");
  const clear = $("[data-clear]", form);
  const showClear = () => (clear.hidden = !input.value);

  const box = combobox(input, {
    hint: true,
    async ask(text, signal) {
      showClear();
      if (!text.trim()) return askSearches(form.dataset.menuUrl, signal);
      const spans = stretches(text, input.selectionStart ?? text.length);
      const last = spans.at(-1);
      const [fields, ...answers] = await Promise.all([
        last ? askFields(form.dataset.menuUrl, last.typed, signal) : [],
        ...spans.map((span) => askTags(form.dataset.tagsUrl, span.typed, signal)),
      ]);
      const seen = new Set();
      const tags = answers
        .flatMap((found, place) => found.map((tag) => ({ ...tag, span: spans[place] })))
        .filter((tag) => !seen.has(tag.slug) && seen.add(tag.slug));
      // A tag that no picture has finds nothing; it is offered only where nothing else is.
      const useful = tags.filter((tag) => tag.count !== 0 && tag.count?.value !== 0);
      const offered = fields.map((field) => ({ ...field, span: last })).slice(0, MOST_FIELDS);
      return [...(useful.length || offered.length ? useful : tags).slice(0, MOST_OFFERED - offered.length), ...offered];
    },
    draw: (each) => (each.kind && each.kind in GLYPHS ? drawOther(each) : drawTag(each, each.span.typed)),
    choose(tag) {
      if (tag.address) {
        input.blur();
        return go(tag.address);
      }
      if (tag.kind === "field") return complete(tag);
      const end = input.selectionStart;
      const after = input.value.slice(end).trimStart();
      input.value = `${input.value.slice(0, tag.span.start)}tag:${tag.slug} ${after}`.trimEnd();
      form.requestSubmit();
    },
  });

  /** A filter is written out; one that wants a value waits for it. */
  function complete({ term, span }) {
    const after = input.value.slice(input.selectionStart).trimStart();
    const head = `${input.value.slice(0, span.start)}${term}`;
    input.value = `${head} ${after}`.trimEnd();
    if (!term.endsWith(":")) return form.requestSubmit();
    input.setSelectionRange(head.length, head.length);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  form.addEventListener("submit", () => {
    box.close();
    showClear();
    input.blur();
  });
  clear.addEventListener("click", () => {
    input.value = "";
    showClear();
    if (new URLSearchParams(location.search).get("q")) form.requestSubmit();
    input.focus();
  });
  return showClear;
}
