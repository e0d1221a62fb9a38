// Where a node came from: data, code, params, people, times, and what is in doubt.

import { address, ask } from "./ask.js";
import { facts, legible, make, section } from "./dom.js";
import { downloads } from "./export.js";
import { nameOf } from "./nodes.js";
import { badge, notice } from "./notice.js";
import { href, nodeHref } from "./state.js";
import { duration, moment } from "./times.js";

const LISTED = 200;
const DOUBTS = [
  ["unmirrored", "not mirrored"],
  ["deleted", "deleted in MLflow"],
  ["without_version", "named without a version or digest"],
  ["made_anew", "registered only after a run had read this number"],
  ["quarantined", "mirrored in part"],
];

/** The report of a state's node. */
export async function showProvenance({ node }, signal) {
  const { data: told, cut } = await ask("provenance", { node }, signal);
  const doubts = DOUBTS.filter(([name]) => told.unresolved[name].length > 0);
  const { uncertain } = told.unresolved;
  return make("section", { class: "report", "aria-label": "Provenance" },
    make("div", { class: "toolbar" },
      make("h3", { class: "grow" }, told.complete ? "Complete: nothing upstream is missing or in doubt" : "Incomplete"),
      make("a", { class: "button", href: href({ node, up: "all", down: "0" }) }, "As a picture"),
      downloads("Export", [
        ["JSON file", address("provenance", { node, format: "json" }), "provenance.json"],
        ["CSV of the edges", address("provenance", { node, format: "csv" }), "provenance.csv"],
      ])),
    cut && notice(`A limit cut this answer: ${cut}.`),
    (doubts.length > 0 || uncertain.length > 0) && make("div", { class: "card doubts" }, make("h3", {}, "In doubt"),
      doubts.map(([name, words]) => section(`${told.unresolved[name].length} ${words}`, true, nodes(told.unresolved[name]))),
      uncertain.length > 0 && section(`${uncertain.length} uncertain`, true, make("ul", {}, uncertain.slice(0, LISTED).map(({ written, read }) => make("li", {}, link(written), " → ", link(read)))))),
    make("div", { class: "cards" },
      make("div", { class: "card" }, make("h3", {}, "In short"), facts([
        ["Runs", told.runs.length.toLocaleString("en")],
        ["People", told.people.join(", ")],
        ["First start", moment(told.first_start)],
        ["Last end", moment(told.last_end)],
        ["From first to last", duration(told.first_start, told.last_end)],
      ])),
      make("div", { class: "card" }, make("h3", {}, "Data that no mirrored run wrote"), told.data.length > 0 ? nodes(told.data) : make("p", { class: "quiet" }, "None."))),
    runs(told.runs, new Set(told.unresolved.deleted)));
}

function runs(all, deleted) {
  const rest = all.length - LISTED;
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs upstream" },
    rest > 0 && notice(`The nearest ${LISTED} runs are listed; ${rest.toLocaleString("en")} more are in the exported file.`),
    make("table", {}, make("thead", {}, make("tr", {}, ["run", "runs away", "status", "user", "started", "code", "params"].map((title) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, all.slice(0, LISTED).map((run) => row(run, deleted.has(run.run))))));
}

function row({ run, depth, name, status, user, start_time, code, params }, isDeleted) {
  const source = [code.entry_point ?? code.source_name, code.git_commit?.slice(0, 12)].filter(Boolean).join(" @ ");
  const pairs = Object.entries(params);
  return make("tr", {},
    make("td", {}, link(run, name), isDeleted && badge("deleted in MLflow", "bad")),
    make("td", { class: "number" }, String(depth)),
    make("td", { class: `status ${status}` }, status ?? ""),
    make("td", {}, make("bdi", {}, user ?? "")),
    make("td", { class: "short" }, moment(start_time)),
    make("td", {}, make("bdi", { title: code.git_commit?.slice(0, 100) }, source.slice(0, 200))),
    make("td", {}, make("bdi", {}, pairs.slice(0, 4).map(([key, value]) => `${key}=${value}`.slice(0, 60)).join(", ")), pairs.length > 4 && make("span", { class: "quiet" }, ` and ${pairs.length - 4} more`)));
}

function nodes(ids) {
  return make("ul", {}, ids.slice(0, LISTED).map((id) => make("li", {}, link(id))),
    ids.length > LISTED && make("li", { class: "quiet" }, `and ${ids.length - LISTED} more, in the exported file`));
}

function link(id, name) {
  return make("a", { href: nodeHref(id), title: id.slice(0, 1000) }, make("bdi", {}, legible(name, legible(nameOf(id), id)).slice(0, 300)));
}
