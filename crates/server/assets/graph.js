// The neighbourhood of a node: the picture, the tools above it, and the panel beside it.

import { address, ask } from "./ask.js";
import { button, make } from "./dom.js";
import { checkedDownloads } from "./export.js";
import { startFind } from "./find.js";
import { inQuotes } from "./meaning.js";
import { notice } from "./notice.js";
import { showPanel } from "./panel.js";
import { PictureView } from "./picture.js";
import { go, read } from "./state.js";
import { zoomTools } from "./zoom.js";

const LEVELS = ["0", "1", "2", "3", "5", "all"];

/** The view of a graph. It stays while the state changes within one node. */
export class GraphView {
  constructor(state) {
    this.state = state;
    this.frame = make("div", { class: "frame", "aria-label": "Picture of the lineage", role: "region" });
    this.panel = make("aside", { class: "panel", "aria-label": "Detail" });
    this.notices = make("div", { role: "status" });
    this.tools = make("div", { class: "toolbar" });
    this.frame.addEventListener("click", () => this.act.choose(null));
    this.element = make("div", { class: "graph" }, make("div", { class: "graph-main" }, this.tools, this.notices, this.frame), this.panel);
    this.reading = new AbortController();
    this.act = {
      choose: (at) => go({ ...this.asked(), at: at ?? undefined }, { replace: true }),
      unfold: (id, side) => this.unfold(id, side),
      keep: (ids) => go({ ...this.asked(), keep: [...(this.asked().keep ?? []), ...ids], at: ids[0] }),
      open: (id) => go({ node: id }),
    };
  }

  /** Asks for the picture of a state. */
  static ask(state, signal) {
    return ask("picture", question(state), signal);
  }

  /** Shows the picture of a state. */
  draw(state, { data, cut }) {
    const anchor = this.picture?.placeOf(state.at);
    const scale = this.picture?.zoom.scale;
    const hadFocus = this.frame.contains(document.activeElement);
    this.state = state;
    this.answer = data;
    this.question = key(state);
    this.picture = new PictureView(this.frame, data, this.act);
    this.showTools();
    this.notices.replaceChildren(...(cut ? [notice(`A limit cut this picture: ${cut}. What lies behind is missing. Show fewer levels, or start at another node.`)] : []));
    if (scale) {
      this.picture.zoom.to(scale);
    } else {
      this.picture.zoom.fit();
    }
    this.choose(state);
    const now = this.picture.placeOf(state.at);
    if (anchor && now) {
      this.frame.scrollBy(now.left - anchor.left, now.top - anchor.top);
    } else if (!scale) {
      const start = this.picture.nodes.find((element) => element.classList.contains("start"));
      if (start) this.picture.zoom.bring(start, true);
    }
    if (hadFocus) this.picture.focus();
  }

  /** The state of the address, whose picture may still be on its way; the drawn one if the reader has left for another page. */
  asked() {
    const now = read();
    const isHere = ["node", "select", "tab"].every((name) => now[name] === this.state[name]);
    return isHere ? now : this.state;
  }

  /** Whether a state differs from the drawn one in the chosen node alone. */
  hasDrawn(state) {
    return this.question === key(state);
  }

  /** Shows the chosen node of a state. */
  choose(state) {
    this.state = state;
    const { graph, drawn } = this.answer;
    const start = drawn.nodes.find((node) => node.start)?.id;
    const chosen = this.picture.choose(state.at ?? null);
    const shown = chosen ?? this.around(start ?? drawn.nodes[0].id);
    this.reading.abort();
    this.reading = new AbortController();
    const members = new Map(graph.nodes.map((node) => [node.id, node]));
    const folded = shown.node.folded?.map((id) => members.get(id)).filter(Boolean);
    showPanel(this.panel, { ...shown, members: folded }, this.act, this.reading.signal);
    if (chosen && this.frame.contains(document.activeElement)) this.picture.focus();
  }

  /** What is drawn of a node that is not chosen. */
  around(id) {
    const { drawn } = this.picture;
    const place = drawn.places.get(id);
    return { node: drawn.nodes[place], up: drawn.closure(place, false).nodes.size, down: drawn.closure(place, true).nodes.size };
  }

  unfold(id, side) {
    const node = this.answer.drawn.nodes.find((drawn) => drawn.id === id);
    // The panel lists a fold. Only hidden edges can be unfolded.
    if (!node || node.folded || !node[`hidden_${side}`]) return this.act.choose(id);
    const list = `unfold_${side}`;
    const asked = this.asked();
    go({ ...asked, [list]: [...(asked[list] ?? []), id], at: id });
  }

  showTools() {
    const { state } = this;
    const parts = [];
    if (state.select === undefined) {
      parts.push(this.levels("up", "Upstream"), this.levels("down", "Downstream"));
    }
    if (state.unfold_up || state.unfold_down || state.keep) {
      parts.push(button("Fold again", () => go({ ...this.asked(), unfold_up: undefined, unfold_down: undefined, keep: undefined, at: undefined })));
    }
    const { graph } = this.answer;
    const counts = `${graph.nodes.length.toLocaleString("en")} nodes, ${graph.edges.length.toLocaleString("en")} edges`;
    parts.push(startFind(graph, this.picture.drawn, this.act), make("span", { class: "quiet grow" }, counts), make("span", { class: "toolbar" }, zoomTools(() => this.picture.zoom), this.files()));
    this.tools.replaceChildren(...parts);
  }

  levels(name, title) {
    const known = this.state[name] ?? "1";
    const options = LEVELS.includes(known) ? LEVELS : [...LEVELS, known];
    const select = make("select", { onchange: () => go({ ...this.asked(), [name]: select.value }) },
      options.map((level) => make("option", { value: level, selected: level === known }, level)));
    return make("label", {}, `${title} `, select);
  }

  files() {
    const asked = question(this.state);
    const file = (format, more) => [address("graph", { ...asked, ...more, format }), `lineage.${format}`];
    return checkedDownloads("Export", [
      ["SVG picture", ...file("svg", { links: true })],
      ["PNG picture", ...file("png")],
      ["HTML page", ...file("html")],
      ["CSV of the edges", ...file("csv")],
      ["JSON of the graph", ...file("json")],
    ]);
  }
}

function question({ node, select, up, down, unfold_up, unfold_down, keep }) {
  const asked = select === undefined ? { select: inQuotes(node), upstream: up ?? "1", downstream: down ?? "1" } : { select };
  return { ...asked, unfold_up, unfold_down, keep, links: false };
}

function key(state) {
  return JSON.stringify(question(state));
}
