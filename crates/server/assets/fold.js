// The nodes that stand behind one "+37 more", with a search in them.

import { button, legible, make } from "./dom.js";
import { badges } from "./notice.js";
import { nodeHref } from "./state.js";

const LISTED = 50;
/** So many nodes are put into the picture at once. */
const MOST = 60;

/** The content of the panel for a fold. */
export function showFold({ node, members }, act) {
  const list = make("ul", { class: "lineage-list" });
  const count = make("p", { class: "quiet", role: "status" });
  const filter = make("input", { type: "search", id: "fold-search", autocomplete: "off", spellcheck: "false", oninput: () => show() });
  let found = members;

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = members.filter((member) => words.every((word) => `${member.name} ${member.id} ${member.status ?? ""}`.toLowerCase().includes(word)));
    const rest = found.length - LISTED;
    count.textContent = `${found.length.toLocaleString("en")} of ${members.length.toLocaleString("en")}${rest > 0 ? `; the first ${LISTED} are listed` : ""}`;
    list.replaceChildren(...found.slice(0, LISTED).map((member) => entry(member, act)));
  }

  const all = () => act.keep(found.slice(0, MOST).map((member) => member.id));
  show();
  return [
    make("div", { class: "panel-head" }, make("span", { class: `kind ${node.kind}` }, "folded"), make("h2", {}, node.name)),
    make("label", { for: "fold-search" }, "Search in these nodes"),
    filter,
    count,
    make("div", { class: "actions" }, button(`Put ${members.length > MOST ? `the first ${MOST}` : "all"} of these into the picture`, all)),
    list,
  ];
}

function entry(member, act) {
  return make("li", {},
    make("span", { class: `kind ${member.kind}` }, member.kind.replace("-", " ")),
    make("a", { href: nodeHref(member.id) }, make("bdi", {}, legible(member.name, member.id).slice(0, 200))),
    member.status && make("span", { class: "quiet" }, ` ${member.status.toLowerCase()} `),
    badges(member),
    button("Into the picture", () => act.keep([member.id]), { class: "small", "aria-label": `Put ${member.name.slice(0, 100)} into the picture` }));
}
