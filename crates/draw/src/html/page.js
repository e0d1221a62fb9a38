"use strict";
(() => {
  const { graph, drawn } = JSON.parse(document.getElementById("data").textContent);
  const svg = document.querySelector("svg.lineage");
  const canvas = document.getElementById("canvas");
  const query = document.getElementById("query");
  const hits = document.getElementById("hits");
  const detail = document.getElementById("detail");
  const count = document.getElementById("count");
  const nodeElements = [...svg.querySelectorAll(".node")];
  const edgeElements = [...svg.querySelectorAll(".edge")];

  // Names are shown as text, and without the characters that would reorder the text around them.
  const clean = (text) => String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g, "\ufffd");

  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const drawnPlace = new Map();
  drawn.nodes.forEach((node, place) => {
    for (const id of [node.id, ...(node.folded || [])]) drawnPlace.set(id, place);
  });
  const into = drawn.nodes.map(() => []);
  const outOf = drawn.nodes.map(() => []);
  drawn.edges.forEach((edge, place) => {
    outOf[drawnPlace.get(edge.from)].push(place);
    into[drawnPlace.get(edge.to)].push(place);
  });
  const end = (edge, down) => drawnPlace.get(down ? drawn.edges[edge].to : drawn.edges[edge].from);

  let chosen = null;

  // All that lies on one side. Two edges in a row between references that overlap are no way of the data.
  function walk(start, down, nodes, edges) {
    const open = [[start, false]];
    const seen = new Set();
    while (open.length) {
      const [node, byOverlap] = open.pop();
      const state = node * 2 + byOverlap;
      if (seen.has(state)) continue;
      seen.add(state);
      nodes.add(node);
      for (const edge of (down ? outOf : into)[node]) {
        const overlap = Boolean(drawn.edges[edge].overlap);
        if (byOverlap && overlap || drawn.edges[edge].parent) continue;
        edges.add(edge);
        open.push([end(edge, down), overlap]);
      }
    }
  }

  function choose(place, { move = false } = {}) {
    chosen = place;
    svg.classList.toggle("chosen", place !== null);
    nodeElements.forEach((element) => element.classList.remove("lit", "choice"));
    edgeElements.forEach((element) => element.classList.remove("lit"));
    nodeElements.forEach((element, other) => element.setAttribute("aria-pressed", String(other === place)));
    if (place === null) {
      detail.replaceChildren(help());
      return;
    }
    const up = new Set(), down = new Set(), edges = new Set();
    walk(place, false, up, edges);
    walk(place, true, down, edges);
    for (const node of new Set([...up, ...down])) nodeElements[node].classList.add("lit");
    for (const edge of edges) edgeElements[edge].classList.add("lit");
    nodeElements[place].classList.add("choice");
    show(drawn.nodes[place], `${up.size - 1} upstream, ${down.size - 1} downstream`);
    if (move) {
      nodeElements[place].focus({ preventScroll: true });
      bring(nodeElements[place]);
    }
  }

  function bring(element) {
    const box = element.getBoundingClientRect(), view = canvas.getBoundingClientRect();
    const outside = box.left < view.left || box.right > view.right || box.top < view.top || box.bottom > view.bottom;
    if (!outside) return;
    canvas.scrollBy({
      left: box.left + box.width / 2 - view.left - view.width / 2,
      top: box.top + box.height / 2 - view.top - view.height / 2,
    });
  }

  function make(tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = clean(text);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function show(node, inPicture) {
    const parts = [make("h2", node.name), make("code", node.folded ? `${node.folded.length} nodes` : node.id)];
    const facts = make("dl");
    const fact = (name, value) => facts.append(make("dt", name), make("dd", value));
    fact("kind", node.kind.replace("-", " "));
    if (node.status) fact("status", node.status.toLowerCase());
    if (!node.folded) fact("depth", node.depth);
    if (node.change) fact("A and B", node.change);
    if (node.deleted) fact("deleted", "in MLflow");
    if (!node.known) fact("known", "not mirrored");
    fact("in the picture", inPicture);
    for (const [hidden, side] of [[node.hidden_up, "upstream"], [node.hidden_down, "downstream"]]) {
      if (hidden) fact("not shown", `${hidden.or_more ? "over " : ""}${hidden.count.toLocaleString("en")} more ${side}`);
    }
    for (const [name, value] of node.facts || []) fact(name, value);
    parts.push(facts);
    if (node.link && /^https?:\/\//i.test(node.link)) {
      const line = make("p");
      line.append(make("a", "Open in MLflow", { href: node.link, target: "_blank", rel: "noopener noreferrer" }));
      parts.push(line);
    }
    if (node.folded) parts.push(...section("Folded", node.folded.map((id) => entry(byId.get(id), ""))));
    else if (drawn.nodes[drawnPlace.get(node.id)].id === node.id) {
      const place = drawnPlace.get(node.id);
      parts.push(...section("From", into[place].map((edge) => neighbour(edge, false))));
      parts.push(...section("To", outOf[place].map((edge) => neighbour(edge, true))));
    }
    detail.replaceChildren(...parts);
    detail.parentElement.scrollTop = 0;
  }

  function section(title, items) {
    if (!items.length) return [];
    const list = make("ul");
    list.append(...items);
    return [make("h3", `${title} (${items.length})`), list];
  }

  function neighbour(edge, down) {
    const { certain, relation, note, origins } = drawn.edges[edge];
    const notes = [relation || "", certain ? "" : "uncertain", note || "", (origins || []).join(", ")].filter(Boolean);
    return entry(drawn.nodes[end(edge, down)], notes.join(" · "));
  }

  function entry(node, note) {
    const item = make("li"), button = make("button", node.name, { type: "button" });
    const small = make("div", [node.kind.replace("-", " "), note].filter(Boolean).join(" · "), { class: "quiet" });
    button.append(small);
    button.addEventListener("click", () => {
      const place = drawnPlace.get(node.id);
      choose(place, { move: true });
      // A folded node has no box of its own: its facts stand beside the box that it is folded into.
      if (drawn.nodes[place].id !== node.id) show(node, drawn.nodes[place].name);
    });
    item.append(button);
    return item;
  }

  function help() {
    const box = make("div");
    box.append(make("h2", `${graph.nodes.length} nodes, ${graph.edges.length} edges`));
    if (graph.truncated) box.append(make("p", `The graph is cut: ${graph.truncated}`));
    box.append(make("p", "Choose a node to see all that lies upstream and downstream of it.", { class: "quiet" }));
    const keys = make("dl");
    for (const [key, does] of [["/", "search"], ["← →", "to a neighbour up or down"], ["↑ ↓", "within a column"], ["+ − 0", "zoom"], ["Esc", "clear"]]) {
      const term = make("dt");
      term.append(make("kbd", key));
      keys.append(term, make("dd", does));
    }
    box.append(keys);
    return box;
  }

  function search() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length
      ? graph.nodes.filter((node) => {
          const text = `${node.id} ${node.name} ${node.kind} ${node.status || ""}`.toLowerCase();
          return words.every((word) => text.includes(word));
        })
      : [];
    const places = new Set(found.map((node) => drawnPlace.get(node.id)));
    svg.classList.toggle("searched", words.length > 0);
    nodeElements.forEach((element, place) => element.classList.toggle("hit", places.has(place)));
    count.textContent = words.length ? `${found.length} found` : "";
    hits.hidden = !words.length;
    hits.replaceChildren(
      ...found.slice(0, 50).map((node) => entry(node, drawn.nodes[drawnPlace.get(node.id)].id === node.id ? "" : "folded")),
    );
    if (found.length === 1) bring(nodeElements[[...places][0]]);
  }

  // Places of the boxes in the picture's own units, for the arrow keys.
  const middles = nodeElements.map((element) => {
    const box = [...element.querySelectorAll(".box")].at(-1).getBBox();
    const at = element.transform.baseVal.consolidate().matrix;
    return { x: at.e, y: at.f + box.height / 2 };
  });

  function nearest(from, candidates) {
    return candidates
      .filter((place) => place !== from)
      .sort((a, b) => Math.abs(middles[a].y - middles[from].y) - Math.abs(middles[b].y - middles[from].y))[0];
  }

  function step(key) {
    if (chosen === null) {
      const start = drawn.nodes.findIndex((node) => node.start);
      return drawn.nodes.length ? Math.max(start, 0) : undefined;
    }
    if (key === "ArrowLeft") return nearest(chosen, into[chosen].map((edge) => end(edge, false)));
    if (key === "ArrowRight") return nearest(chosen, outOf[chosen].map((edge) => end(edge, true)));
    const sign = key === "ArrowUp" ? -1 : 1;
    const column = middles
      .map((_, place) => place)
      .filter((place) => middles[place].x === middles[chosen].x && (middles[place].y - middles[chosen].y) * sign > 0);
    return nearest(chosen, column);
  }

  const size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
  let scale = 1;
  function zoom(to) {
    const before = scale;
    scale = Math.min(4, Math.max(0.1, to));
    const x = canvas.scrollLeft + canvas.clientWidth / 2, y = canvas.scrollTop + canvas.clientHeight / 2;
    svg.setAttribute("width", size.width * scale);
    svg.setAttribute("height", size.height * scale);
    canvas.scrollLeft = (x * scale) / before - canvas.clientWidth / 2;
    canvas.scrollTop = (y * scale) / before - canvas.clientHeight / 2;
  }
  const fit = () => zoom(Math.min(canvas.clientWidth / size.width, canvas.clientHeight / size.height));

  nodeElements.forEach((element, place) => {
    element.setAttribute("tabindex", "0");
    element.setAttribute("role", "button");
    // A reader of the screen hears the title and what the box says. Without white space, its lines would be one word.
    for (const line of element.querySelectorAll("text")) line.after(" ");
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      choose(chosen === place ? null : place);
    });
    element.addEventListener("focus", () => bring(element));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose(chosen === place ? null : place);
      }
    });
  });
  canvas.addEventListener("click", () => choose(null));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
  }, { passive: false });
  query.addEventListener("input", search);
  document.getElementById("smaller").addEventListener("click", () => zoom(scale / 1.25));
  document.getElementById("larger").addEventListener("click", () => zoom(scale * 1.25));
  document.getElementById("fit").addEventListener("click", fit);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      query.value = "";
      search();
      choose(null);
      return;
    }
    if (event.target === query || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); query.focus(); query.select(); }
    else if (event.key === "+" || event.key === "=") zoom(scale * 1.25);
    else if (event.key === "-") zoom(scale / 1.25);
    else if (event.key === "0") fit();
    else if (event.key.startsWith("Arrow") && !event.target.closest("aside")) {
      const place = step(event.key);
      if (place !== undefined) { event.preventDefault(); choose(place, { move: true }); }
    }
  });

  choose(null);
  if (size.width > canvas.clientWidth || size.height > canvas.clientHeight) {
    // Small text is worse than scrolling.
    zoom(Math.max(0.6, Math.min(canvas.clientWidth / size.width, canvas.clientHeight / size.height)));
    const start = drawn.nodes.findIndex((node) => node.start);
    if (start >= 0) bring(nodeElements[start]);
  }
})();
