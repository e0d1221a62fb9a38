// The whole state of the page, which the address holds after `#`. Browsers never send that part, so no name reaches a log.

const LISTS = ["unfold_up", "unfold_down", "keep"];
/** `node` is the exact text of one node, `select` what a reader typed, `base` the first of two nodes to compare, `a` and `b` both. */
const TEXTS = ["q", "sort", "columns", "rows", "node", "select", "tab", "up", "down", "a", "b", "at", "base"];

/** The state of an address. */
export function read(hash = location.hash) {
  const params = new URLSearchParams(hash.slice(1));
  const state = {};
  for (const name of TEXTS) {
    if (params.has(name)) state[name] = params.get(name);
  }
  for (const name of LISTS) {
    if (params.has(name)) state[name] = params.getAll(name);
  }
  return state;
}

/** The address of a state. The first node of a comparison stays chosen, unless the state says otherwise. */
export function href(asked) {
  const state = "base" in asked ? asked : { ...asked, base: read().base };
  const params = new URLSearchParams();
  for (const name of TEXTS) {
    if (state[name] !== undefined && state[name] !== "") params.set(name, state[name]);
  }
  for (const name of LISTS) {
    for (const value of new Set(state[name] ?? [])) params.append(name, value);
  }
  return `#${params}`;
}

/** The address of a node's page. */
export function nodeHref(node, tab) {
  return href({ node, tab });
}

/** Goes to a state. With `replace`, the way back leads past the state before; with `again`, the same state is shown anew. */
export function go(state, { replace = false, again = false } = {}) {
  const address = href(state);
  if (address === (location.hash || "#")) {
    if (again) dispatchEvent(new Event("again"));
    return;
  }
  history[replace ? "replaceState" : "pushState"](null, "", address);
  dispatchEvent(new Event("statechange"));
}

/** Calls `show` for the state of now and of each later address. */
export function follow(show) {
  let shown;
  const tell = () => {
    if (location.hash === shown) return;
    shown = location.hash;
    show(read());
  };
  addEventListener("again", () => show(read()));
  addEventListener("statechange", tell);
  addEventListener("popstate", tell);
  addEventListener("hashchange", tell);
  tell();
}
