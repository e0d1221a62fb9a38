// The explorer: shows what the address says, in the main part of the page.

import { make } from "./dom.js";
import { showBase } from "./compare.js";
import { showDiff } from "./diff.js";
import { guide } from "./guide.js";
import { keepFresh } from "./freshness.js";
import { textOf } from "./meaning.js";
import { closeLeftMenus } from "./menus.js";
import { showNode } from "./node.js";
import { notice } from "./notice.js";
import { showResults } from "./results.js";
import { startSearchbox } from "./searchbox.js";
import { beginSession, showSignIn } from "./session.js";
import { follow } from "./state.js";

/** A reader sees that something is read when it takes longer than this. */
const PATIENCE = 150;

const main = document.getElementById("main");
const base = document.getElementById("base");
const progress = document.getElementById("progress");
const searchbox = startSearchbox(document.getElementById("search"));
let reading = new AbortController();

async function show(state) {
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  const waiting = setTimeout(() => (progress.hidden = false), PATIENCE);
  main.setAttribute("aria-busy", "true");
  searchbox.show(textOf(state));
  showBase(base, state);
  try {
    await viewOf(state)(main, state, signal);
  } catch (error) {
    if (error.name !== "AbortError") fail(error, state);
  }
  clearTimeout(waiting);
  if (signal.aborted) return;
  progress.hidden = true;
  main.removeAttribute("aria-busy");
  main.dataset.ready = location.hash;
}

function viewOf({ a, b, node, select }) {
  if (a !== undefined && b !== undefined) return showDiff;
  return node === undefined && select === undefined ? showResults : showNode;
}

function fail(error, state) {
  if (error.status === 401) return showSignIn(main, () => show(state));
  if (error.status === 400 && state.a === undefined) {
    searchbox.fail(error);
    main.replaceChildren(guide());
    return;
  }
  if (error.status === undefined) console.error(error);
  main.replaceChildren(make("section", { class: "report" }, make("h2", {}, error.status === 404 ? "Not found" : "No answer"), notice(error.message)));
}

keepFresh(document.getElementById("freshness"));
closeLeftMenus();
await beginSession();
follow(show);
