// The side panel: what is known of the chosen node.

import { ask } from "./ask.js";
import { comparison } from "./compare.js";
import { button, facts, legible, make, section, webLink } from "./dom.js";
import { showFold } from "./fold.js";
import { kindOf, nameOf, references } from "./nodes.js";
import { badges, notice } from "./notice.js";
import { nodeHref } from "./state.js";
import { duration, moment } from "./times.js";

/** More values than this are closed at first. */
const MANY = 30;
/** A longer text is shortened in the panel. MLflow has the rest. */
const LONG = 500;

/** Shows a node. `drawn` is what the picture knows of it, `act` what can be done with it. */
export async function showPanel(panel, drawn, act, signal) {
  const { node } = drawn;
  if (node.folded) {
    panel.replaceChildren(...showFold(drawn, act));
    return;
  }
  const head = make("div", { class: "panel-head" },
    make("span", { class: `kind ${node.kind}` }, node.kind.replace("-", " ")),
    make("h2", {}, make("bdi", {}, node.name)),
    badges(node),
    make("code", { class: "id" }, make("bdi", {}, node.id)),
    facts([["In the picture", `${drawn.up} upstream, ${drawn.down} downstream`]]),
    actions(node, act));
  const rest = make("div", { "aria-live": "polite" }, make("p", { class: "quiet" }, "Reading …"));
  panel.replaceChildren(head, rest);
  panel.scrollTop = 0;
  try {
    const details = await detailsOf(node, signal);
    rest.replaceChildren(
      ...[node.link && make("p", {}, webLink(node.link, "Open in MLflow ↗"))].filter(Boolean),
      ...(node.kind === "run" ? aboutRun(details) : aboutOther(details, node)));
  } catch (error) {
    if (error.name !== "AbortError") rest.replaceChildren(notice(error.message));
  }
}

/** What is known of a node, without its counts, which the picture has. */
async function detailsOf(node, signal) {
  // Nothing more is known of an artifact.
  if (node.kind === "artifact") return null;
  const { data } = await ask("node", { id: node.id, counts: false }, signal);
  return data.details;
}

function actions(node, act) {
  const unfold = (hidden, side, word) => hidden &&
    button(`Unfold ${hidden.or_more ? "over " : ""}${hidden.count.toLocaleString("en")} ${word}`, () => act.unfold(node.id, side));
  return make("div", { class: "actions" },
    unfold(node.hidden_up, "up", "upstream"),
    unfold(node.hidden_down, "down", "downstream"),
    make("a", { class: "button", href: nodeHref(node.id) }, "Centre"),
    make("a", { class: "button", href: nodeHref(node.id, "impact") }, "Impact"),
    make("a", { class: "button", href: nodeHref(node.id, "provenance") }, "Provenance"),
    comparison(node.id, node.name));
}

function aboutRun(run) {
  if (!run) return [notice("The mirror has only the id of this run. It may belong to an experiment that is not synced.")];
  const problems = run.mirror?.problems ?? [];
  return [
    facts([
      ["Status", run.status],
      ["Experiment", run.exp && make("bdi", {}, run.exp.name ?? run.exp.id)],
      ["User", run.user && make("bdi", {}, run.user)],
      ["Started", moment(run.start_time)],
      ["Ended", moment(run.end_time)],
      ["Took", duration(run.start_time, run.end_time)],
      ["Artifacts", run.repo && make("bdi", {}, run.repo)],
    ]),
    ...(problems.length > 0 ? [section(`Problems (${problems.length})`, true, make("ul", { class: "problems" }, problems.map(({ key, reason }) => make("li", {}, make("bdi", {}, short(key)), ": ", short(reason)))))] : []),
    ...lineage("Inputs", run.inputs),
    ...lineage("Outputs", run.outputs),
    ...values("Params", run, "params"),
    ...values("Metrics", run, "metrics"),
    ...values("Tags", run, "tags", false),
  ];
}

function lineage(title, side) {
  const found = references(side);
  if (found.length === 0) return [];
  const item = ({ id, kind, from }) => make("li", {}, make("span", { class: `kind ${kind}` }, kind.replace("-", " ")),
    make("a", { href: nodeHref(id) }, make("bdi", {}, short(legible(nameOf(id), id)))), make("span", { class: "quiet" }, ` from ${[...from].join(", ")}`));
  return [section(`${title} (${found.length})`, found.length <= MANY, make("ul", { class: "lineage-list" }, found.slice(0, 500).map(item),
    found.length > 500 && make("li", {}, notice(`${found.length - 500} more are not listed here.`))))];
}

/** Params, metrics or tags, with the texts of MLflow. */
function values(title, run, root, isOpen = true) {
  const pairs = new Map(flat(run[root] ?? {}));
  for (const { key, value } of run.mirror?.unnested?.[root] ?? []) pairs.set(key, value);
  for (const { key, value } of run.mirror?.text?.[root] ?? []) pairs.set(key, value);
  if (pairs.size === 0) return [];
  const rows = [...pairs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, short(key))), make("td", {}, make("bdi", {}, short(textOf(value))))));
  return [section(`${title} (${pairs.size})`, isOpen && pairs.size <= MANY, make("table", { class: "values" }, make("tbody", {}, rows)))];
}

function flat(tree, prefix = "") {
  return Object.entries(tree).flatMap(([key, value]) => {
    const isInner = value !== null && typeof value === "object" && !Array.isArray(value) && !Object.keys(value)[0]?.startsWith("$");
    return isInner && Object.keys(value).length > 0 ? flat(value, `${prefix}${key}.`) : [[prefix + key, value]];
  });
}

function textOf(value) {
  if (value === null || typeof value !== "object") return String(value);
  return String(value.$numberDouble ?? value.$numberLong ?? moment(value.$date && value) ?? JSON.stringify(value));
}

function aboutOther(shown, node) {
  if (!shown) {
    const run = node.kind === "artifact" && node.id.slice("artifact:".length).split("/")[0];
    return run ? [facts([["Artifacts of run", make("a", { href: nodeHref(`run:${run}`) }, run)]])] : [];
  }
  const known = shown.version ?? shown.model?.model ?? shown.logged_model ?? {};
  return [
    facts([
      ["Aliases", Array.isArray(known.aliases) && known.aliases.map((alias) => (typeof alias === "string" ? `@${alias}` : `@${alias.alias} → ${alias.version}`)).join(", ")],
      ["Stage", known.stage !== "None" && known.stage],
      ["Created", moment(known.created)],
      ["Updated", moment(known.updated)],
      ["Made by", known.run && make("a", { href: nodeHref(`run:${known.run}`) }, known.run)],
      ["Source", known.source && make("bdi", {}, short(known.source))],
      ["Copied from", known.copied_from && make("bdi", {}, textOf(known.copied_from))],
      ["Copies", known.copies?.join(", ")],
      ["Versions", shown.logged_model && known.versions?.join(", ")],
    ]),
    ...runs("Written by", shown.written_by),
    ...runs("Read by", shown.read_by),
    ...(Object.keys(known.tags ?? {}).length > 0 ? values("Tags", { tags: known.tags }, "tags", false) : []),
  ];
}

function runs(title, side) {
  if (!side?.count) return [];
  const rest = side.count - side.newest.length;
  return [section(`${title} ${side.count.toLocaleString("en")} ${side.count === 1 ? "run" : "runs"}`, true, make("ul", { class: "lineage-list" },
    side.newest.map(({ run, name, experiment, status, started }) => make("li", {}, make("a", { href: nodeHref(`run:${run}`) }, make("bdi", {}, short(legible(name, run)))),
      make("span", { class: "quiet" }, ` ${[experiment, status?.toLowerCase(), moment(started)].filter(Boolean).map(short).join(" · ")}`))),
    rest > 0 && make("li", { class: "quiet" }, `The newest ${side.newest.length} are listed; ${rest.toLocaleString("en")} are older.`)))];
}

function short(text) {
  const whole = String(text);
  return whole.length > LONG ? `${whole.slice(0, LONG)}… (${whole.length.toLocaleString("en")} characters)` : whole;
}

/** What is known of a node before the picture is there. */
export function bare(id) {
  return { id, kind: kindOf(id), name: nameOf(id) };
}
