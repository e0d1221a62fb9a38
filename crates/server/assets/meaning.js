// What a text in the search box means.

import { isNode } from "./nodes.js";

const FIELD = /^(not\s+)?\(*(inputs?|outputs?|params|tags|metrics|exp|status|user|name|run_id|parent|start_time|end_time|problems)\b[.\s]/;
const WALK = /^(?:(\d*)(\+))?([^\s+()"]+)(?:(\+)(\d*))?$/;
const QUOTED = /^"((?:[^"]|"")+)"$/s;
const SELECTION = /^\d*\+|\+\d*$|^(roots|sinks|not)\b|\s(and|or)\s/s;

/** The state that shows what a text asks for: a node's page, or a table of runs, or of names. */
export function stateOf(text) {
  const asked = text.trim();
  const quotedNode = QUOTED.exec(asked)?.[1].replaceAll('""', '"');
  if (quotedNode && isNode(quotedNode)) return { node: quotedNode };
  const walk = WALK.exec(asked);
  if (walk && isNode(walk[3]) && (walk[2] || walk[4])) {
    const [, up, before, node, after, down] = walk;
    return { node, up: levels(before, up), down: levels(after, down) };
  }
  if (!FIELD.test(asked) && isSelection(asked)) return { select: asked };
  if (isNode(asked)) return { node: asked };
  // Untrimmed, so that the columns in an error are those of the box.
  return { q: text };
}

/** The text that shows the same state again. A node whose name reads like a selection stands in quotes. */
export function textOf({ q, node, select }) {
  if (node === undefined) return select ?? q ?? "";
  return stateOf(node).node === node && node.trim() === node ? node : inQuotes(node);
}

/** A node in quotes, as selections have it: no part of its name is read as an operator. */
export function inQuotes(node) {
  return `"${node.replaceAll('"', '""')}"`;
}

/** Whether a text is a selection of several nodes, and no single node. */
function isSelection(text) {
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
