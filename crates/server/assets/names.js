// The names that begin with a text, when the text is neither a node nor a condition.

import { ask } from "./ask.js";
import { legible, make } from "./dom.js";
import { quoted } from "./meaning.js";
import { go, href, nodeHref } from "./state.js";

const MOST = 20;

/** Lists the names, or goes to the only node that has the name. */
export async function showNames(main, text, signal) {
  const prefix = text.trim();
  const { data: names } = await ask("suggest", { prefix }, signal);
  const exact = names.filter(({ name, node }) => name === prefix && node);
  if (exact.length === 1 && names.length === 1) {
    return go({ node: exact[0].node }, { replace: true });
  }
  main.replaceChildren(make("section", { class: "names", "aria-label": "Names" },
    make("h2", {}, names.length === 0 ? "No name begins with this text" : "Names that begin with this text"),
    make("p", { class: "quiet" }, "Upper and lower case differ. ", names.length >= MOST && `The first ${MOST} are shown; type more of the name. `),
    make("ul", {}, names.map(entry)),
    make("p", {}, make("a", { href: href({ q: `name like ${quoted(`${prefix}%`)}` }) }, "Runs whose name begins with this text"))));
  document.title = `${prefix.slice(0, 80)} · runlineage`;
}

function entry({ kind, name, node, where }) {
  return make("li", {},
    make("span", { class: `kind ${kind}` }, kind.replace("-", " ")),
    make("a", { href: node ? nodeHref(node) : href({ q: where }) }, make("bdi", {}, legible(name, "(a name without letters)"))),
    node && kind !== "run" && make("a", { class: "quiet", href: href({ q: where }) }, "runs that read it"));
}
