// How to write a condition, shown where one cannot be used.

import { facts, make } from "./dom.js";
import { href } from "./state.js";

const EXAMPLES = [
  ["Runs that read a version", "input.model = 'churn:3'"],
  ["Runs that made a model", "output.model = 'churn'"],
  ["Failed runs of a week", "status = 'FAILED' and start_time >= '7d'"],
  ["Params and metrics", "exp = 'churn' and params.lr = 0.1 and metrics.auc > 0.9"],
  ["Names and users", "name like 'train-%' and user in ('ana', 'ben')"],
  ["Not, or, parentheses", "not (status = 'FINISHED' or user = 'ana')"],
];

/** A short guide with examples, each of which is a link. */
export function guide() {
  return make("section", { class: "report" },
    make("h2", {}, "How to write a condition"),
    facts(EXAMPLES.map(([what, condition]) => [what, make("a", { href: href({ q: condition }) }, make("code", {}, condition))])),
    make("p", { class: "quiet" }, "A node, such as ", make("code", {}, "model:churn:3"), " or the id of a run, opens its page; ", make("code", {}, "2+model:churn:3+1"), " shows two levels of runs before it and one after it."));
}
