// The search box: suggestions while one types, and errors below the place where they are.

import { ask } from "./ask.js";
import { button, clean, make } from "./dom.js";
import { isCondition, quoted, stateOf } from "./meaning.js";
import { go } from "./state.js";

const PAUSE = 120;
const FIELDS = ["input.model", "output.model", "input.artifact", "input.path", "output.artifact", "input.dataset", "input.logged_model", "input.prompt", "exp", "status", "user", "name", "start_time", "end_time", "parent", "params.", "tags.", "metrics.", "problems exists"];
/** The condition ends in a text that is not complete: its field, and what was typed of it. */
const OPEN_TEXT = /([\w.]+)\s*(?:=|!=|in\s*\((?:[^()]*,)?)\s*'([^']*)$/;
const OPEN_WORD = /(?:^|[\s(])([a-z_.]{2,})$/;
const KINDS_OF = { exp: "experiment", user: "user", name: "run-name", run_id: "run", parent: "run" };

/** Starts the box. Returns how to show a text in it, and what is wrong with that text. */
export function startSearchbox(form) {
  const input = form.querySelector("#query");
  const list = form.querySelector("#suggestions");
  const error = form.querySelector("#query-error");
  let options = [];
  let chosen = -1;
  let timer;
  let asking = new AbortController();

  function close() {
    clearTimeout(timer);
    asking.abort();
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    chosen = place;
    [...list.children].forEach((item, other) => item.setAttribute("aria-selected", String(other === place)));
    if (place < 0) {
      input.removeAttribute("aria-activedescendant");
    } else {
      input.setAttribute("aria-activedescendant", list.children[place].id);
      list.children[place].scrollIntoView({ block: "nearest" });
    }
  }

  function take(option) {
    close();
    if (option.text !== undefined) {
      input.value = option.text;
      input.focus();
      later();
      return;
    }
    go(option.state);
  }

  function offer(found) {
    options = found;
    choose(-1);
    list.replaceChildren(...found.map((option, place) =>
      make("li", { role: "option", id: `suggestion-${place}`, "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => take(option) },
        make("span", { class: `kind ${option.kind}` }, option.kind.replace("-", " ")), make("bdi", {}, shortened(option.name)))));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
  }

  async function suggest() {
    asking.abort();
    asking = new AbortController();
    const text = input.value;
    try {
      const found = await suggestions(text, asking.signal);
      if (input.value === text && document.activeElement === input) offer(found);
    } catch (error) {
      // Suggestions are a help. The search itself tells what is wrong.
      if (error.name !== "AbortError") close();
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(suggest, PAUSE);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen >= 0) return take(options[chosen]);
    close();
    go(stateOf(input.value), { again: true });
  });
  input.addEventListener("input", () => {
    fail(null);
    later();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    if (list.hidden) return suggest();
    choose(((chosen + 1 + step + options.length + 1) % (options.length + 1)) - 1);
  });
  addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });

  function fail(problem) {
    input.toggleAttribute("aria-invalid", problem !== null);
    error.hidden = problem === null;
    if (problem) error.replaceChildren(...explained(problem, input));
  }
  return {
    show(text) {
      if (document.activeElement !== input || list.hidden) input.value = text;
      fail(null);
    },
    fail,
  };
}

/** What could come at the end of a text. */
async function suggestions(text, signal) {
  if (text.trim() === "") return [];
  const open = OPEN_TEXT.exec(text);
  if (open) {
    const [, field, prefix] = open;
    if (field === "status") return completions(text, prefix, ["FINISHED", "FAILED", "RUNNING", "SCHEDULED", "KILLED"]);
    if (prefix === "") return [];
    const kind = KINDS_OF[field] ?? field.replace(/^(input|output)\./, "").replace("_", "-");
    const { data } = await ask("suggest", { prefix }, signal);
    return completions(text, prefix, data.filter((one) => one.kind === kind).map((one) => one.name));
  }
  const word = OPEN_WORD.exec(text)?.[1];
  if (isCondition(text)) {
    return word ? completions(text, word, FIELDS) : [];
  }
  const { data } = await ask("suggest", { prefix: text.trimStart() }, signal);
  const names = data.map(({ kind, name, node, where }) => ({ kind, name, state: node ? { node } : { q: where } }));
  const fields = word === text ? completions(text, word, FIELDS) : [];
  return [...names, ...fields];
}

/** The text with its last part replaced by each of these words that begins with it. */
function completions(text, part, words) {
  const before = text.slice(0, text.length - part.length);
  const inQuotes = before.endsWith("'");
  const ends = words.filter((word) => word.startsWith(part) && word !== part);
  return [...new Set(ends)].map((word) => ({
    kind: inQuotes ? "value" : "field",
    name: word,
    text: before + (inQuotes ? `${quoted(word).slice(1)} ` : word.endsWith(".") ? word : `${word} `),
  }));
}

/** The error, with a mark below its column. */
function explained({ message, column, parameter }, input) {
  const isHere = column && ["where", "select", "node", "id"].includes(parameter);
  if (!isHere) return [make("p", {}, message)];
  const characters = [...input.value];
  const start = Math.max(0, column - 40);
  const before = clean(characters.slice(start, column - 1).join(""));
  const at = clean(characters[column - 1] ?? " ");
  const after = clean(characters.slice(column, column + 40).join(""));
  const place = characters.slice(0, column - 1).join("").length;
  const line = make("pre", {}, start > 0 && "…", before, make("mark", {}, at), after);
  const correct = () => {
    input.focus();
    input.setSelectionRange(place, place);
  };
  return [line, make("p", {}, `Column ${column}: ${message} `, button("Go there", correct))];
}

function shortened(name) {
  return name.length > 200 ? `${name.slice(0, 200)}…` : name;
}
