// The runs that match a condition: a table, and facets beside it.

import { address, ask } from "./ask.js";
import { comparison } from "./compare.js";
import { button, legible, make, webLink } from "./dom.js";
import { downloads } from "./export.js";
import { showFacets } from "./facets.js";
import { isCondition } from "./meaning.js";
import { showNames } from "./names.js";
import { notice } from "./notice.js";
import { go, nodeHref } from "./state.js";
import { moment } from "./times.js";

const COLUMNS = ["name", "exp.name", "status", "start_time", "user"];
const TITLES = { name: "run", "exp.name": "experiment", start_time: "started" };
const NEWEST = "-start_time";
const ROWS = 50;
/** A page of the API has no more runs. */
const MOST_ROWS = 1000;

/** Shows the runs of a state, or the names that begin with its text. */
export async function showResults(main, state, signal) {
  const text = state.q ?? "";
  if (text.trim() !== "" && !isCondition(text)) return showNames(main, text, signal);
  const columns = state.columns?.split(",").filter(Boolean) ?? COLUMNS;
  const rows = Math.min(Number(state.rows) || ROWS, MOST_ROWS);
  const sort = state.sort ?? NEWEST;
  const question = { where: text.trim() === "" ? undefined : text, columns: ["_id", ...columns].join(","), sort };
  const { data: runs, cut, more } = await ask("search", { ...question, limit: rows, links: true }, signal);
  const facets = make("aside", { id: "facets", "aria-label": "Facets" });
  const isByTime = /^-?start_time$/.test(sort);
  // In another order, the API has the first thousand alone.
  const all = { ...question, sort: isByTime ? sort : undefined, limit: 0 };
  main.replaceChildren(
    make("div", { class: "results" },
      make("section", { "aria-label": "Runs" },
        make("div", { class: "toolbar" },
          make("h2", {}, title(text, runs.length, more || cut)),
          columnForm(state, columns),
          downloads("Export", [
            ["CSV of all runs found", address("search", { ...all, format: "csv" }), "runs.csv"],
            ["JSON of all runs found", address("search", { ...all, format: "json" }), "runs.json"],
            ["Whole documents, one a line", address("search", { ...all, columns: undefined, format: "ndjson" }), "runs.ndjson"],
          ])),
        text === "" && make("p", { class: "quiet" }, "The newest runs. Type the name of a model, run, dataset or experiment; or a condition such as ",
          button("status = 'FAILED' and start_time >= '7d'", () => go({ q: "status = 'FAILED' and start_time >= '7d'" }), { class: "link" }), "."),
        cut && notice(`Only the first ${cut} in this order are shown. Sort by time to reach all, or narrow the search.`),
        runs.length === 0 ? make("p", {}, "No run matches.") : table(runs, columns, sort, state),
        more && continuation(state, rows)),
      facets),
  );
  document.title = text ? `${text.slice(0, 80)} · runlineage` : "runlineage";
  // Facets read many runs, so the table comes first.
  showFacets(facets, state, question.where, signal);
}

function title(text, count, hasMore) {
  if (text === "") return "Newest runs";
  return `${hasMore ? "The first " : ""}${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"}`;
}

function continuation(state, rows) {
  if (rows >= MOST_ROWS) {
    return notice(`The first ${rows.toLocaleString("en")} runs are shown, and more match. Narrow the search, or export all.`);
  }
  const next = Math.min(rows < 200 ? 200 : MOST_ROWS, MOST_ROWS);
  return make("p", { class: "more" }, `More runs match than these ${rows}. `,
    button(`Show up to ${next.toLocaleString("en")}`, () => go({ ...state, rows: String(next) })));
}

function table(runs, columns, sort, state) {
  const heads = columns.map((column) => {
    const direction = sort === column ? "ascending" : sort === `-${column}` ? "descending" : "none";
    const next = direction === "descending" ? column : `-${column}`;
    const mark = { ascending: " ▲", descending: " ▼", none: "" }[direction];
    return make("th", { scope: "col", "aria-sort": direction },
      button((TITLES[column] ?? column) + mark, () => go({ ...state, sort: next === NEWEST ? undefined : next, rows: undefined })));
  });
  const body = runs.map((run) => make("tr", {},
    ...columns.map((column, place) => make("td", { class: column === "status" ? `status ${run.status}` : place > 0 ? "short" : undefined }, cell(run, column, place))),
    make("td", {}, run.url && webLink(run.url, "MLflow")),
    make("td", {}, comparison(`run:${run._id}`, legible(textOf(run.name), run._id)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of runs" },
    make("table", {},
      make("thead", {}, make("tr", {}, heads, make("th", { scope: "col" }, make("span", { class: "unseen" }, "page in MLflow")), make("th", { scope: "col" }, make("span", { class: "unseen" }, "compare")))),
      make("tbody", {}, body)));
}

function cell(run, column, place) {
  const value = valueAt(run, column);
  const text = /_time$/.test(column) ? moment(value) : textOf(value);
  if (place > 0) return make("bdi", {}, text);
  return make("a", { href: nodeHref(`run:${run._id}`) }, make("bdi", {}, legible(text, run._id)));
}

/** The value at a path. A key may itself hold dots. */
function valueAt(value, path) {
  if (value === null || typeof value !== "object") return undefined;
  if (path in value) return value[path];
  for (let dot = path.indexOf("."); dot > 0; dot = path.indexOf(".", dot + 1)) {
    const found = valueAt(value[path.slice(0, dot)], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
}

function textOf(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? (value.$numberDouble ?? value.$numberLong ?? JSON.stringify(value)) : String(value);
}

function columnForm(state, columns) {
  const input = make("input", { id: "columns", value: columns.join(", "), spellcheck: "false", autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    const named = input.value.split(",").map((name) => name.trim()).filter(Boolean).join(",");
    go({ ...state, columns: named === COLUMNS.join(",") ? undefined : named });
  };
  return make("details", { class: "menu" }, make("summary", {}, "Columns"),
    make("form", { onsubmit: submit }, make("label", { for: "columns" }, "Fields, such as params.lr or metrics.auc"), input, make("button", {}, "Show")));
}
