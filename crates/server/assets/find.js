// A search inside the graph, folded nodes included.

import { make } from "./dom.js";

const LISTED = 30;

/** A box that finds nodes of the graph by name, id, kind or status. */
export function startFind(graph, drawn, act) {
  const list = make("ul", { class: "found", hidden: true });
  const count = make("span", { class: "unseen", role: "status" });
  const input = make("input", {
    type: "search", id: "find", placeholder: "Find in this graph", "aria-label": "Find in this graph", autocomplete: "off", spellcheck: "false",
    oninput: show,
    onkeydown: (event) => {
      if (event.key === "Enter") list.querySelector("button")?.click();
      if (event.key === "ArrowDown") list.querySelector("button")?.focus();
      if (event.key === "Escape") clear();
    },
  });

  function clear() {
    input.value = "";
    show();
  }

  function take(node) {
    clear();
    const isFolded = drawn.nodes[drawn.places.get(node.id)].folded;
    if (isFolded) act.keep([node.id]);
    else act.choose(node.id);
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? [] : graph.nodes.filter((node) => {
      const text = `${node.id} ${node.name} ${node.kind} ${node.status ?? ""}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    list.hidden = words.length === 0;
    count.textContent = words.length === 0 ? "" : `${found.length} found`;
    const rest = found.length - LISTED;
    list.replaceChildren(
      ...found.slice(0, LISTED).map((node) => make("li", {}, make("button", { type: "button", onclick: () => take(node) },
        make("span", { class: `kind ${node.kind}` }, node.kind.replace("-", " ")), make("bdi", {}, node.name.slice(0, 120)),
        drawn.nodes[drawn.places.get(node.id)].folded && make("span", { class: "quiet" }, " folded")))),
      ...(found.length === 0 ? [make("li", { class: "quiet" }, "Nothing in this graph. The box above searches the whole mirror.")] : []),
      ...(rest > 0 ? [make("li", { class: "quiet" }, `${rest} more; type more of the name.`)] : []));
  }
  return make("span", { class: "find" }, input, count, list);
}
