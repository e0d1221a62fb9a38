// Why two runs or versions differ: the first points of divergence, both upstreams laid over each other, and what follows.

import { address, ask } from "./ask.js";
import { facts, legible, make, section, webLink } from "./dom.js";
import { checkedDownloads } from "./export.js";
import { isNode, kindOf, nameOf } from "./nodes.js";
import { badge, badges, notice } from "./notice.js";
import { PictureView } from "./picture.js";
import { go, href, nodeHref, read } from "./state.js";
import { moment } from "./times.js";
import { zoomTools } from "./zoom.js";

const LISTED = 50;
const ROWS = 100;
const LONG = 300;
const ENDINGS = {
  only_a: "only A has it",
  only_b: "only B has it",
  several: "several against several",
  no_producer: "no run is known to have made it",
  several_producers: "several runs made it",
  same_producer: "one run made both",
};
const UNKNOWN = {
  unmirrored: "a run is not mirrored",
  purged: "a run is purged from the mirror",
  quarantined: "a run is mirrored in part",
  depth: "beyond the limit on levels",
  pairs: "beyond the limit on pairs",
};
const STATES = { equal: "equal", first: "first point of divergence", follows: "follows", unknown: "unknown" };
/** Data sets and prompts never have a run that made them. */
const NEVER_MADE = /^(dataset|prompt)$/;

let view;

/** Shows the diff of the state's two nodes. It stays while the chosen node of the picture changes. */
export async function showDiff(main, state, signal) {
  const { a, b, at } = state;
  if (view?.a !== a || view.b !== b || !view.frame.isConnected) {
    const { data, cut } = await ask("diff/picture", { a, b }, signal);
    view = new DiffView(state, data);
    main.replaceChildren(head(a, b), view.page(cut));
    view.draw();
  }
  view.choose(at ?? null);
}

function head(a, b) {
  const names = [a, b].map((node) => nameOf(node).slice(0, 100));
  document.title = `${names.join(" and ")} · runlineage`;
  return make("div", { class: "node-head" },
    make("span", { class: `kind ${kindOf(a)}` }, "diff"),
    make("h2", {}, make("bdi", {}, names[0]), " → ", make("bdi", {}, names[1])),
    make("nav", { "aria-label": "Sides" }, make("a", { href: href({ a: b, b: a }) }, "Swap A and B")));
}

class DiffView {
  constructor({ a, b }, data) {
    Object.assign(this, { a, b, data });
    this.frame = make("div", { class: "frame", role: "region", "aria-label": "Picture of both upstreams" });
    this.panel = make("aside", { class: "panel", "aria-label": "Detail" });
    this.frame.addEventListener("click", () => choose(null));
  }

  page(cut) {
    const { pairs } = this.data.diff;
    const of = (state) => pairs.filter((pair) => pair.state === state);
    const unknown = pairs.filter((pair) => pair.unknown);
    return make("section", { class: "report", "aria-label": "Diff" },
      make("div", { class: "toolbar" }, make("h3", { class: "grow" }, outcome(this.data.diff)), this.files()),
      cut && notice(`A limit cut this answer: ${cut}. What lies behind was not compared.`),
      make("div", { class: "cards" }, side("A", this.a, pairs[0].a), side("B", this.b, pairs[0].b)),
      this.list("First points of divergence", of("first"), true),
      make("h3", {}, "Both upstreams laid over each other"),
      make("div", { class: "graph compared" },
        make("div", { class: "graph-main" }, make("div", { class: "toolbar" }, zoomTools(() => this.picture.zoom)), this.frame), this.panel),
      this.list("What follows from these", of("follows"), false),
      unknown.length > 0 && make("div", { class: "card doubts" }, make("h3", {}, "Not compared"),
        make("ul", {}, unknown.slice(0, LISTED).map((pair) => make("li", {}, names(pair), `: ${UNKNOWN[pair.unknown] ?? "not compared"}`)), more(unknown.length - LISTED, "pairs"))));
  }

  draw() {
    const act = { choose, unfold: choose, open: choose };
    this.picture = new PictureView(this.frame, this.data, act);
    this.picture.zoom.fit();
    const first = this.picture.drawn.nodes.findIndex((node) => node.change === "first difference");
    this.picture.zoom.bring(this.picture.nodes[Math.max(0, first)], true);
  }

  choose(id) {
    const chosen = this.picture.choose(id);
    this.panel.replaceChildren(...(chosen ? detail(chosen) : [make("p", { class: "quiet" }, "Choose a node of the picture: what is known of both sides stands here.")]));
    if (chosen && this.frame.contains(document.activeElement)) this.picture.focus();
  }

  files() {
    const { a, b } = this;
    const file = (format) => [address("diff", { a, b, format }), `diff.${format}`];
    return checkedDownloads("Export", [
      ["SVG picture", ...file("svg")],
      ["PNG picture", ...file("png")],
      ["HTML page", ...file("html")],
      ["CSV of the differences", ...file("csv")],
      ["JSON of the diff", ...file("json")],
    ]);
  }

  list(title, pairs, isOpen) {
    if (pairs.length === 0) return false;
    return make("div", { class: "listed" }, make("h3", {}, title),
      pairs.slice(0, LISTED).map((pair) => make("div", { class: "card" }, section([names(pair), `, ${place(pair)}`], isOpen,
        make("p", {}, run("A", pair.a), " ", run("B", pair.b)),
        pair.unknown_upstream && notice("A part of what lies upstream could not be compared."),
        this.table(pair)))),
      more(pairs.length - LISTED, "pairs"));
  }

  table(pair) {
    const rows = [...pair.differences.map(differing), ...pair.followed.map((followed) => this.followed(followed))];
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Differences of ${pair.a.id.slice(0, 100)} and ${pair.b.id.slice(0, 100)}` },
      make("table", {},
        make("thead", {}, make("tr", {}, ["what", "name", "A", "B", "remark"].map((head) => make("th", { scope: "col" }, head)))),
        make("tbody", {}, rows.slice(0, ROWS).map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell)))))),
      more(rows.length - ROWS, "differences"));
  }

  followed({ key, a, b, pair }) {
    const next = this.data.diff.pairs[pair];
    return [key.kind.replace("-", " "), text(keyName(key)), references([a]), references([b]), next && ["made by ", names(next), ` (${STATES[next.state]})`]];
  }
}

function choose(at) {
  go({ ...read(), at: at ?? undefined }, { replace: true });
}

function outcome({ outcome, pairs }) {
  const count = (state, one, several = one) => {
    const of = pairs.filter((pair) => pair.state === state).length;
    return of > 0 && `${of.toLocaleString("en")} ${of === 1 ? one : several}`;
  };
  if (outcome === "equal") return "Equal: nothing that is mirrored differs";
  if (outcome === "unknown") return "No difference was found, but not all could be compared";
  return `They differ: ${[count("first", "first point of divergence", "first points of divergence"), count("follows", "pair follows", "pairs follow"),
    count("unknown", "pair unknown", "pairs unknown"), count("equal", "pair equal", "pairs equal")].filter(Boolean).join(", ")}`;
}

function side(letter, node, shown) {
  const { run } = shown;
  return make("div", { class: "card" }, make("h3", {}, letter, " ", badges(shown)),
    make("p", {}, link(node)),
    facts([
      ["Run", node !== shown.id && link(shown.id, run?.name)],
      ["Name", node === shown.id && run?.name && text(run.name)],
      ["Status", run?.status && text(run.status)],
      ["User", run?.user && text(run.user)],
      ["Started", moment(run?.start_time)],
    ]));
}

/** A difference of the runs themselves as cells. */
function differing({ what, name, key, a, b, ending }) {
  if (what !== "input") return [what.replaceAll("_", " "), text(name ?? ""), value(a), value(b), ""];
  const remark = ending === "no_producer" && NEVER_MADE.test(key.kind) ? "" : ENDINGS[ending];
  return [key.kind.replace("-", " "), text(keyName(key)), references(a), references(b), remark];
}

function keyName({ name, context }) {
  return `${name ?? "all, or without a name"}${context ? ` (${context})` : ""}`;
}

function value(side) {
  return side === null ? make("span", { class: "quiet" }, "none") : text(side);
}

function references(nodes) {
  const rest = nodes.length - LISTED;
  return nodes.length === 0 ? value(null) : [...nodes.slice(0, LISTED).flatMap((node) => [link(node), " "]), rest > 0 && `and ${rest} more`];
}

function names({ a, b }) {
  const [one, other] = [a, b].map(({ id, run }) => legible(run?.name, nameOf(id).slice(0, 8)).slice(0, 100));
  return make("span", {}, make("bdi", {}, one), ...(one === other ? [] : [" → ", make("bdi", {}, other)]));
}

function place({ depth, key }) {
  if (depth === 0) return "the start";
  return `${depth} ${depth === 1 ? "level" : "levels"} up${key ? `, by the ${key.kind.replace("-", " ")} ${keyName(key).slice(0, LONG)}` : ""}`;
}

function run(letter, shown) {
  return make("span", {}, `${letter} `, link(shown.id, shown.id.slice("run:".length)), " ", badges(shown));
}

/** What the picture knows of a node. A pair of runs is one node. */
function detail({ node }) {
  const linked = ([name, told]) => {
    if (/^[AB]: run$/.test(name)) return [name, link(`run:${told}`, told)];
    if (/^[AB]: page$/.test(name)) return [name, webLink(told, "Open in MLflow ↗")];
    if (/^[AB]$/.test(name) && isNode(told)) return [name, link(told)];
    return [name, text(told)];
  };
  const members = node.folded ?? [];
  const [one, other] = ["A: name", "B: name"].map((name) => node.facts?.find(([known]) => known === name)?.[1]);
  return [
    make("div", { class: "panel-head" },
      make("span", { class: `kind ${node.kind}` }, node.folded ? "folded" : node.kind.replace("-", " ")),
      make("h2", {}, make("bdi", {}, one && other && one !== other ? `${one} → ${other}` : node.name)),
      make("span", { class: "badges" }, node.change && badge(node.change), badges(node))),
    facts((node.facts ?? []).map(linked)),
    make("ul", { class: "lineage-list" }, members.slice(0, LISTED).map((id) => make("li", {}, isNode(id) ? link(id) : text(id))), more(members.length - LISTED, "")),
  ];
}

function more(rest, what) {
  return rest > 0 && make("p", { class: "quiet" }, `and ${rest.toLocaleString("en")} more ${what}; the exported JSON has all`);
}

function link(id, name) {
  return make("a", { href: nodeHref(id), title: id.slice(0, 1000) }, make("bdi", {}, legible(name, legible(nameOf(id), id)).slice(0, LONG)));
}

function text(told) {
  const whole = String(told);
  return make("bdi", {}, whole.length > LONG ? `${whole.slice(0, LONG)}… (${whole.length.toLocaleString("en")} characters)` : whole);
}
