// What a reader must not miss: a limit that cut an answer, an error, something deleted.

import { make } from "./dom.js";

/** A box with a warning. */
export function notice(text, ...more) {
  return make("p", { class: "notice" }, make("strong", {}, "⚠ "), text, ...more);
}

/** A short word on something unusual, such as `deleted in MLflow`. */
export function badge(text, kind = "") {
  return make("span", { class: `badge ${kind}` }, text);
}

/** What is unusual of a node. */
export function badges(node) {
  return make("span", { class: "badges" },
    node.deleted && badge("deleted in MLflow", "bad"),
    node.known === false && badge("not mirrored", "doubt"),
    (node.aliases ?? []).map((alias) => badge(`@${alias}`, "alias")));
}
