// The picture of a graph, drawn by the server: choose a node, see all that lies up and down of it, move by keys.

import { Drawn } from "./closure.js";
import { Zoom } from "./zoom.js";

/** What the server draws. Anything else does not get into the page, though names cannot make elements: they are escaped. */
const ELEMENTS = new Set(["svg", "style", "title", "g", "path", "rect", "circle", "text", "tspan"]);
const ATTRIBUTES = /^(xmlns|class|width|height|viewBox|role|transform|d|x|y|cx|cy|r|rx|ry|fill|stroke|aria-label|data-(node|edge|id|kind|from|to))$/;

/** A tooltip with a longer text would cover the picture. */
const LONGEST_TITLE = 600;

/** A picture in a frame. `act` has `choose(id)`, `unfold(id, side)` and `open(id)`. */
export class PictureView {
  constructor(frame, { svg, drawn }, act) {
    this.frame = frame;
    this.act = act;
    this.drawn = new Drawn(drawn);
    this.svg = parsed(svg);
    frame.replaceChildren(this.svg);
    this.nodes = [...this.svg.querySelectorAll(".node")];
    this.edges = [...this.svg.querySelectorAll(".edge")];
    this.zoom = new Zoom(frame, this.svg);
    this.nodes.forEach((element, place) => this.prepare(element, place));
    this.middles = this.nodes.map(middle);
    this.chosen = null;
    this.makeStop(Math.max(0, drawn.nodes.findIndex((node) => node.start)));
  }

  /** Highlights a node with all that lies up and down of it; `null` ends that. Returns what is drawn of the node. */
  choose(id) {
    const place = id === null ? undefined : this.drawn.places.get(id);
    this.chosen = place ?? null;
    this.svg.classList.toggle("chosen", place !== undefined);
    for (const element of [...this.nodes, ...this.edges]) element.classList.remove("lit", "choice");
    this.nodes.forEach((element, other) => element.setAttribute("aria-pressed", String(other === place)));
    if (place === undefined) return null;
    const sides = { up: this.drawn.closure(place, false), down: this.drawn.closure(place, true) };
    for (const { nodes, edges } of Object.values(sides)) {
      for (const node of nodes) this.nodes[node].classList.add("lit");
      for (const edge of edges) this.edges[edge].classList.add("lit");
    }
    this.nodes[place].classList.add("lit", "choice");
    this.makeStop(place);
    this.zoom.bring(this.nodes[place]);
    return { node: this.drawn.nodes[place], up: sides.up.nodes.size, down: sides.down.nodes.size };
  }

  focus() {
    if (this.chosen !== null) this.nodes[this.chosen].focus({ preventScroll: true });
  }

  /** Where a node stands on the screen. */
  placeOf(id) {
    const place = this.drawn.places.get(id);
    return place === undefined ? null : this.nodes[place].getBoundingClientRect();
  }

  prepare(element, place) {
    const node = this.drawn.nodes[place];
    // The title names the node for a screen reader, with what the box says by marks.
    const title = element.querySelector("title");
    if (title) title.textContent = title.textContent.slice(0, LONGEST_TITLE);
    // The lines of a box are words apart for programs that read them.
    for (const line of element.querySelectorAll("text")) line.after(" ");
    element.setAttribute("role", "button");
    element.setAttribute("tabindex", "-1");
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      const pill = event.target.closest(".pill");
      if (pill) return this.act.unfold(node.id, pill.classList.contains("up") ? "up" : "down");
      this.act.choose(this.chosen === place ? null : node.id);
    });
    element.addEventListener("dblclick", () => !node.folded && this.act.open(node.id));
    element.addEventListener("keydown", (event) => this.press(event, place));
    element.addEventListener("focus", () => this.zoom.bring(element));
  }

  press(event, place) {
    const { id, folded } = this.drawn.nodes[place];
    const acts = {
      Enter: () => this.act.choose(id),
      " ": () => this.act.choose(this.chosen === place ? null : id),
      Escape: () => this.act.choose(null),
      "[": () => this.act.unfold(id, "up"),
      "]": () => this.act.unfold(id, "down"),
      o: () => !folded && this.act.open(id),
      "+": () => this.zoom.larger(),
      "-": () => this.zoom.smaller(),
      0: () => this.zoom.fit(),
    };
    const next = this.step(event.key, place);
    if (next !== undefined) acts[event.key] = () => this.makeStop(next).focus();
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  }

  /** The node that an arrow key leads to: a neighbour, or the next box of the column. */
  step(key, place) {
    if (key === "ArrowLeft") return this.nearest(place, this.drawn.beside(place, false));
    if (key === "ArrowRight") return this.nearest(place, this.drawn.beside(place, true));
    const sign = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (!sign) return undefined;
    const from = this.middles[place];
    const column = this.middles.map((_, other) => other);
    return this.nearest(place, column.filter((other) => Math.abs(this.middles[other].x - from.x) < 60 && (this.middles[other].y - from.y) * sign > 0));
  }

  nearest(from, places) {
    const distance = (place) => Math.abs(this.middles[place].y - this.middles[from].y);
    return places.filter((place) => place !== from).sort((a, b) => distance(a) - distance(b))[0];
  }

  /** Makes a node the one that the tab key reaches. */
  makeStop(place) {
    this.nodes.forEach((element, other) => element.setAttribute("tabindex", other === place ? "0" : "-1"));
    return this.nodes[place];
  }
}

/** The picture as an element. */
function parsed(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg") throw new Error("The picture cannot be read.");
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!ELEMENTS.has(element.localName)) {
      element.remove();
      continue;
    }
    for (const { name } of [...element.attributes]) {
      if (!ATTRIBUTES.test(name)) element.removeAttribute(name);
    }
  }
  return document.importNode(root, true);
}

function middle(element) {
  const box = [...element.querySelectorAll(".box")].at(-1).getBBox();
  const { e, f } = element.transform.baseVal.consolidate().matrix;
  return { x: e + box.width / 2, y: f + box.height / 2 };
}
