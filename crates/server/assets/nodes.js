// Nodes: their texts, and the references of a run to them.

const REFERENCES = [
  { field: "models", kind: "model", key: "name", detail: "version", separator: ":" },
  { field: "runs", kind: "artifact", key: "id", detail: "path", separator: "/" },
  { field: "datasets", kind: "dataset", key: "name", detail: "digest", separator: "@" },
  { field: "logged_models", kind: "logged-model", key: "id" },
  { field: "prompts", kind: "prompt", key: "name", detail: "version", separator: ":" },
];

/** The references of one side of a run, each node once, with where they are known from. */
export function references(side = {}) {
  const found = new Map();
  for (const { field, ...form } of REFERENCES) {
    for (const entry of side[field] ?? []) {
      const id = text(form, entry);
      const known = found.get(id) ?? { id, kind: form.kind, from: new Set() };
      known.from.add(entry.from);
      found.set(id, known);
    }
  }
  return [...found.values()];
}

/** The node that a facet counts. */
export function counted(field, value) {
  const form = REFERENCES.find((reference) => reference.field === field);
  return form && text(form, value);
}

/** A text that begins like a node. */
export function isNode(text) {
  return /^(run|model|artifact|dataset|logged-model|prompt):.|^(runs|models|prompts):\/.|^[0-9a-f]{32}$/s.test(text);
}

/** The kind of a node's text. */
export function kindOf(id) {
  return isNode(id) && id.includes(":") ? id.slice(0, id.indexOf(":")).replace(/^(run|model|prompt)s$/, "$1") : "run";
}

/** The node's text without its kind. */
export function nameOf(id) {
  return decode(id.slice(id.indexOf(":") + 1));
}

/** Whether the text names all versions of a name. */
export function isName(id) {
  return /^(model|prompt):[^:]*$/s.test(id) || /^dataset:[^@]*$/s.test(id);
}

function text({ kind, key, detail, separator }, entry) {
  const name = `${kind}:${encode(entry[key], separator)}`;
  if (!detail || entry[detail] === undefined || entry[detail] === null) return name;
  // The first slash ends the run of an artifact, so those of the path stay.
  return name + separator + encode(entry[detail], separator === "/" ? undefined : separator);
}

function encode(part, separator) {
  const code = (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`;
  return String(part).replace(/[%:@/]/g, (c) => (c === "%" || c === separator ? code(c) : c));
}

function decode(part) {
  return part.replace(/%(25|3A|40|2F)/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
}
