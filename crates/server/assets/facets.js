// How many of the runs have each value, beside the table. A click narrows the search to a value.

import { ask } from "./ask.js";
import { button, legible, make } from "./dom.js";
import { quoted } from "./meaning.js";
import { counted, nameOf } from "./nodes.js";
import { notice } from "./notice.js";
import { go } from "./state.js";

const SHOWN = 8;
/** Each facet with its title, the text of a value, and the condition that selects the value. */
const FACETS = [
  ["exp", "Experiment", (value) => value?.name ?? value?.id, (value) => value && `exp.id = ${quoted(value.id)}`],
  ["status", "Status", (value) => value, (value) => value && `status = ${quoted(value)}`],
  ["user", "User", (value) => value, (value) => value && `user = ${quoted(value)}`],
  ...["input", "output"].map((side) => [
    `${side}-model`,
    side === "input" ? "Read model" : "Made model",
    (value) => value && nameOf(counted("models", value)),
    (value) => value && `${side} = ${quoted(counted("models", value))}`,
  ]),
];

/** Fills the element with one facet after the other, so that few searches run at once. */
export async function showFacets(element, state, where, signal) {
  for (const [facet, title, text, condition] of FACETS) {
    const part = make("section", {}, make("h3", {}, title));
    try {
      const { data, cut } = await ask("facets", { facet, where, limit: SHOWN }, signal);
      const values = data.filter(({ value }) => value !== null);
      if (values.length === 0) continue;
      part.append(make("ul", {}, values.map(({ value, runs }) => {
        const shown = [make("bdi", {}, legible(text(value), "(blank)")), make("span", { class: "count" }, runs.toLocaleString("en"))];
        const narrow = () => go({ ...state, q: narrowed(where, condition(value)), rows: undefined });
        // A filter in JSON takes no condition beside it.
        return make("li", {}, ...(isFilter(where) ? shown : [button(shown, narrow)]));
      })));
      if (cut) part.append(make("p", { class: "quiet" }, `The ${SHOWN} most frequent are shown.`));
    } catch (error) {
      if (error.name === "AbortError") return;
      part.append(notice(error.message));
    }
    if (signal.aborted) return;
    element.append(part);
  }
}

function narrowed(where, condition) {
  if (!where) return condition;
  return /\bor\b/i.test(where) ? `(${where.trim()}) and ${condition}` : `${where.trim()} and ${condition}`;
}

function isFilter(where) {
  return where !== undefined && where.trim().startsWith("{");
}
