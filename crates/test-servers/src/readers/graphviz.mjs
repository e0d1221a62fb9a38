// Reads graphs with Graphviz. Stdin is a JSON list of DOT texts; stdout is one answer for each: what `dot -Tcanon` and `-Tjson0` print.
import { readFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const graphviz = await Graphviz.load();
const answers = [];
for (const text of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const canon = graphviz.layout(text, "canon", "dot");
    const graph = JSON.parse(graphviz.layout(text, "json0", "dot"));
    answers.push({ canon, graph });
  } catch (error) {
    answers.push({ error: String(error) });
  }
}
process.stdout.write(JSON.stringify(answers));
