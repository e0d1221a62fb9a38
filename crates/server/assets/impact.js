// What a node reached: runs, versions and their aliases, per experiment and user.

import { address, ask } from "./ask.js";
import { button, legible, make } from "./dom.js";
import { downloads } from "./export.js";
import { nameOf } from "./nodes.js";
import { badge, badges, notice } from "./notice.js";
import { href, nodeHref } from "./state.js";
import { moment } from "./times.js";

const STEP = 100;

/** The report of a state's node. */
export async function showImpact({ node }, signal) {
  const { data: impact, cut } = await ask("impact", { node }, signal);
  const { reached } = impact;
  const of = (kind) => reached.filter((shown) => shown.kind === kind).length;
  const counts = [[of("run"), "run"], [of("model"), "version"], [of("artifact"), "artifact"]];
  const says = counts.map(([count, word]) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`);
  const file = (format) => [address("impact", { node, format }), `impact.${format}`];
  return make("section", { class: "report", "aria-label": "Impact" },
    make("div", { class: "toolbar" },
      make("h3", { class: "grow" }, reached.length === 0 ? "Nothing that is mirrored used this" : `Reached ${says.join(", ")}`),
      make("a", { class: "button", href: href({ node, up: "0", down: "all" }) }, "As a picture"),
      downloads("Export", [["CSV", ...file("csv")], ["JSON", ...file("json")]])),
    cut && notice(`A limit cut this answer: ${cut}. More may be reached.`),
    impact.aliased.length > 0 && make("div", { class: "card" }, make("h3", {}, "In use under an alias now"),
      make("ul", {}, impact.aliased.map(({ version, aliases }) => make("li", {}, link(version), " ", aliases.map((alias) => badge(`@${alias}`, "alias")))))),
    make("div", { class: "cards" },
      tally("Experiments", impact.experiments, (value) => value?.name ?? value?.id ?? "unknown"),
      tally("Users", impact.users, (value) => value ?? "unknown"),
      openEnds(impact.open_ends)),
    reached.length > 0 && list(reached));
}

function tally(title, counts, text) {
  if (counts.length === 0) return false;
  return make("div", { class: "card" }, make("h3", {}, title),
    make("ul", {}, counts.slice(0, 20).map(({ value, runs }) => make("li", {}, make("bdi", {}, text(value)), make("span", { class: "count" }, `${runs.toLocaleString("en")} ${runs === 1 ? "run" : "runs"}`)))),
    counts.length > 20 && make("p", { class: "quiet" }, `and ${counts.length - 20} more`));
}

function openEnds(nodes) {
  if (nodes.length === 0) return false;
  return make("div", { class: "card" }, make("h3", {}, "Outputs that no mirrored run read"),
    make("p", { class: "quiet" }, "What else depends on them is not recorded."),
    make("ul", {}, nodes.slice(0, 8).map((node) => make("li", {}, link(node)))),
    nodes.length > 8 && make("p", { class: "quiet" }, `and ${nodes.length - 8} more, in the exported file`));
}

function list(reached) {
  const body = make("tbody");
  const more = make("p", { class: "more" });
  const filter = make("input", { type: "search", id: "impact-filter", autocomplete: "off", spellcheck: "false", oninput: () => show(STEP) });

  function show(limit) {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = reached.filter((shown) => words.every((word) => `${shown.id} ${shown.run?.name ?? ""} ${shown.run?.user ?? ""} ${shown.run?.experiment?.name ?? ""}`.toLowerCase().includes(word)));
    body.replaceChildren(...found.slice(0, limit).map(row));
    const rest = found.length - limit;
    more.replaceChildren(...(rest > 0 ? [`${rest.toLocaleString("en")} more. `, button(`Show ${Math.min(rest, 10 * STEP)} of them`, () => show(limit + 10 * STEP))] : []));
  }
  show(STEP);
  return make("div", {},
    make("label", { for: "impact-filter" }, "Find among these "), filter,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Nodes that were reached" },
      make("table", {}, make("thead", {}, make("tr", {}, ["kind", "node", "runs away", "user", "started", "remarks"].map((title) => make("th", { scope: "col" }, title)))), body)),
    more);
}

function row(shown) {
  const { id, kind, run, version } = shown;
  return make("tr", {},
    make("td", {}, make("span", { class: `kind ${kind}` }, kind.replace("-", " "))),
    make("td", {}, link(id, run?.name)),
    make("td", { class: "number" }, String(shown.depth)),
    make("td", {}, make("bdi", {}, run?.user ?? "")),
    make("td", { class: "short" }, moment(run?.start_time)),
    make("td", {}, badges({ ...shown, aliases: version?.aliases }), !shown.certain && badge("uncertain", "doubt")));
}

function link(id, name) {
  return make("a", { href: nodeHref(id), title: id.slice(0, 1000) }, make("bdi", {}, legible(name, legible(nameOf(id), id)).slice(0, 300)));
}
