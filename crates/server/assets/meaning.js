// What a text in the search box means.

import { isNode } from "./nodes.js";

const FIELD = /^(not\s+)?\(*(inputs?|outputs?|params|tags|metrics|exp|status|user|name|run_id|parent|start_time|end_time|problems)\b[.\s]/;
const WALK = /^(\d*)(\+?)([^+"]+?)(\+?)(\d*)$/s;
const SELECTION = /^\d*\+|\+\d*$|^(roots|sinks|not)\b|\s(and|or)\s/s;

/** The state that shows what a text asks for: a node's page, or a table of runs, or of names. */
export function stateOf(text) {
  const asked = text.trim();
  const walk = WALK.exec(asked);
  if (walk && isNode(walk[3])) {
    const [, up, before, node, after, down] = walk;
    if (!before && !after) return { node: asked };
    return { node, up: levels(before, up), down: levels(after, down) };
  }
  if (isNode(asked) || isSelection(asked)) return { node: asked };
  // Untrimmed, so that the columns in an error are those of the box.
  return { q: text };
}

/** Whether a text is a selection of several nodes, and no single node. */
export function isSelection(text) {
  return SELECTION.test(text) && text.split(/[\s+()"]+/).some(isNode);
}

/** Whether a text is a condition on runs. */
export function isCondition(text) {
  return FIELD.test(text.trim()) || /^\s*[{[(]|[<>=]/.test(text);
}

/** A text in quotes, as conditions have it. */
export function quoted(text) {
  return `'${String(text).replaceAll("'", "''")}'`;
}

function levels(sign, count) {
  if (!sign) return "0";
  return count || "all";
}
