// All that lies upstream or downstream of a node, within the drawn graph.

/** The drawn graph with its edges by node. */
export class Drawn {
  constructor({ nodes, edges }) {
    this.nodes = nodes;
    this.edges = edges;
    this.places = new Map();
    nodes.forEach((node, place) => {
      for (const id of [node.id, ...(node.folded ?? [])]) this.places.set(id, place);
    });
    this.into = nodes.map(() => []);
    this.outOf = nodes.map(() => []);
    this.ends = edges.map((edge) => [this.places.get(edge.from), this.places.get(edge.to)]);
    this.ends.forEach(([from, to], edge) => {
      this.outOf[from].push(edge);
      this.into[to].push(edge);
    });
  }

  /** The neighbours on one side. */
  beside(place, isDown) {
    return (isDown ? this.outOf : this.into)[place].map((edge) => this.ends[edge][isDown ? 1 : 0]);
  }

  /** The nodes and edges on one side. Two overlaps in a row are no way of the data, and a parent gives none to its child. */
  closure(start, isDown) {
    const nodes = new Set();
    const edges = new Set();
    const seen = new Set();
    const open = [[start, false]];
    while (open.length > 0) {
      const [node, cameByOverlap] = open.pop();
      const visit = node * 2 + cameByOverlap;
      if (seen.has(visit)) continue;
      seen.add(visit);
      nodes.add(node);
      for (const edge of (isDown ? this.outOf : this.into)[node]) {
        const { overlap = false, parent } = this.edges[edge];
        if (parent || (cameByOverlap && overlap)) continue;
        edges.add(edge);
        open.push([this.ends[edge][isDown ? 1 : 0], overlap]);
      }
    }
    nodes.delete(start);
    return { nodes, edges };
  }
}
