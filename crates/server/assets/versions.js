// All versions of a name as a list, where a picture of them all would help nobody.

import { comparison } from "./compare.js";
import { button, make } from "./dom.js";
import { badges, notice } from "./notice.js";
import { nodeHref } from "./state.js";
import { moment } from "./times.js";

const LISTED = 200;

/** The versions, the newest first, and how to see a picture of them nevertheless. */
export function showVersions({ nodes }, cut, draw) {
  const number = ({ id }) => Number(id.slice(id.lastIndexOf(":") + 1)) || 0;
  const sorted = [...nodes].sort((a, b) => number(b) - number(a));
  const rest = sorted.length - LISTED;
  return make("section", { class: "report" },
    make("h3", {}, `${nodes.length.toLocaleString("en")} versions`),
    make("p", { class: "quiet" }, "A picture of so many would be hard to read. Choose one, or ", button("draw them all", draw, { class: "link" }), "."),
    cut && notice(`Not all versions are listed: ${cut}.`),
    rest > 0 && notice(`The newest ${LISTED} are listed; ${rest.toLocaleString("en")} are older. Search for one by its number.`),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Versions" },
      make("table", {},
        make("thead", {}, make("tr", {}, ["version", "remarks", "created", "runs that wrote it", "runs that read it"].map((title) => make("th", { scope: "col" }, title)), make("th", { scope: "col" }, make("span", { class: "unseen" }, "compare")))),
        make("tbody", {}, sorted.slice(0, LISTED).map((node) => make("tr", {},
          make("td", {}, make("a", { href: nodeHref(node.id) }, make("bdi", {}, node.id.slice(node.id.indexOf(":") + 1)))),
          make("td", {}, badges({ ...node, aliases: node.version?.aliases })),
          make("td", { class: "short" }, moment(node.version?.created)),
          make("td", { class: "number" }, String(node.hidden?.up.count ?? "")),
          make("td", { class: "number" }, String(node.hidden?.down.count ?? "")),
          make("td", {}, comparison(node.id, node.id.slice("model:".length)))))))));
}
