// Reads flowcharts with Mermaid's own parser. Stdin is a JSON list of texts; stdout is one answer for each.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

const decoded = (text) =>
  text
    .replaceAll("ﬂ°°", "&#")
    .replaceAll("ﬂ°", "&")
    .replaceAll("¶ß", ";")
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code));

const answers = [];
for (const text of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const { diagramType } = await mermaid.parse(text);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    const nodes = [...db.getVertices().values()].map(({ id, text }) => [id, decoded(text)]);
    const edges = db.getEdges().map(({ start, end, text, stroke }) => [start, end, decoded(text ?? ""), stroke]);
    answers.push({ type: diagramType, length: text.length, nodes, edges });
  } catch (error) {
    answers.push({ error: String(error) });
  }
}
process.stdout.write(JSON.stringify(answers));
