// The choice of two nodes to compare. The address holds the first one while a reader looks for the second.

import { button, make } from "./dom.js";
import { nameOf } from "./nodes.js";
import { badge } from "./notice.js";
import { go, href, nodeHref, read } from "./state.js";

/** Whether a node can be compared with another one: a run, or a version of a model. */
export function isComparable(node) {
  return /^run:.|^model:[^:]+:[^:]+$|^[0-9a-f]{32}$/s.test(node);
}

/** Begins a comparison with a node, or ends it there. Nothing for a node that cannot be compared. */
export function comparison(node, name) {
  if (!isComparable(node)) return false;
  const { base } = read();
  const called = name.slice(0, 100);
  if (base === node) return badge("first of two");
  if (base) {
    return make("a", { class: "button small", href: href({ a: base, b: node, base: undefined }), "aria-label": `Compare with this: ${called}` }, "Compare with this");
  }
  const choose = () => {
    go({ ...read(), base: node });
    document.getElementById("base").focus();
  };
  return button("Compare", choose, { class: "small", "aria-label": `Compare ${called} with another` });
}

/** Shows the first node of a comparison while the second is looked for. */
export function showBase(element, { base }) {
  element.hidden = base === undefined;
  if (base === undefined) return element.replaceChildren();
  const model = base.startsWith("model:") && base.slice(0, base.lastIndexOf(":"));
  element.replaceChildren(
    make("span", {}, "Compare ", make("b", {}, make("bdi", {}, nameOf(base).slice(0, 200))), " with a second run or version: look for it, and choose “Compare with this”. ",
      model && make("a", { href: nodeHref(model) }, "Other versions")),
    button("Cancel", () => go({ ...read(), base: undefined }), { class: "small" }));
}
