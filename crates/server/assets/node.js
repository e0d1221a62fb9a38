// The page of a node: its lineage, what it reached, and where it came from.

import { ask } from "./ask.js";
import { comparison } from "./compare.js";
import { button, make } from "./dom.js";
import { GraphView } from "./graph.js";
import { showImpact } from "./impact.js";
import { isName, kindOf, nameOf } from "./nodes.js";
import { bare } from "./panel.js";
import { showProvenance } from "./provenance.js";
import { badges, notice } from "./notice.js";
import { go, href, nodeHref } from "./state.js";
import { showVersions } from "./versions.js";

/** More versions of one name than this are listed, not drawn. */
const MOST_DRAWN = 8;
const TABS = [
  [undefined, "Lineage"],
  ["impact", "Impact"],
  ["provenance", "Provenance"],
];

let view;

/** Shows the page of the state's node. */
export async function showNode(main, state, signal) {
  const { node, select, tab } = state;
  const isKept = !tab && view?.element.isConnected && ["node", "select", "base"].every((name) => view.state[name] === state[name]);
  if (isKept && view.hasDrawn(state)) {
    view.choose(state);
    return;
  }
  if (tab === "impact" || tab === "provenance") {
    const body = await (tab === "impact" ? showImpact : showProvenance)(state, signal);
    main.replaceChildren(head(state), body);
    return;
  }
  if (select === undefined && isName(node) && state.up === undefined && state.down === undefined) {
    const { data, cut } = await ask("node", { id: node }, signal);
    if (data.nodes.length > MOST_DRAWN) {
      main.replaceChildren(head(state), showVersions(data, cut, () => go({ ...state, up: "1", down: "1" })));
      return;
    }
  }
  const answer = await GraphView.ask(state, signal);
  if (answer.data.graph.nodes.length === 0) {
    const limit = answer.cut && notice(`A limit cut the walks: ${answer.cut}.`);
    main.replaceChildren(...[head(state), limit, make("p", {}, "No node is in the selection.")].filter(Boolean));
    return;
  }
  if (!isKept) {
    view = new GraphView(state);
    main.replaceChildren(head(state, answer.data.graph.nodes.find((shown) => shown.start)), view.element);
  }
  view.draw(state, answer);
}

function head(state, shown) {
  const { node, select, tab } = state;
  const known = shown ?? bare(node ?? select);
  document.title = `${known.name.slice(0, 80)} · runlineage`;
  if (select !== undefined) return make("div", { class: "node-head" }, make("h2", {}, make("bdi", {}, select)));
  const copied = (event) => navigator.clipboard.writeText(node).then(() => (event.target.textContent = "Copied"));
  return make("div", { class: "node-head" },
    make("span", { class: `kind ${kindOf(node)}` }, kindOf(node).replace("-", " ")),
    make("h2", {}, make("bdi", { title: known.name.slice(0, 1000) }, known.name || nameOf(node))),
    badges(known),
    button("Copy id", copied, { class: "small" }),
    comparison(node, known.name || node),
    kindOf(node) !== "run" && make("a", { class: "quiet", href: href({ q: `input = '${node.replaceAll("'", "''")}'` }) }, "runs that read it"),
    make("nav", { "aria-label": "Views of this node" }, TABS.map(([name, title]) =>
      make("a", { href: nodeHref(node, name), "aria-current": name === tab ? "page" : undefined }, title))));
}
