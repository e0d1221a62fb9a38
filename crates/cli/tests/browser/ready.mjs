// How long a reader waits for the page of a node with about 40 drawn nodes, and how much is fetched for it. A benchmark prints the answer.

import { gzipSync } from "node:zlib";
import { browse, input } from "./page.mjs";

const NODES = 40;
// Levels up and down, from few nodes to many.
const LEVELS = [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [3, 2], [3, 3]];

await browse(async (reader) => {
  const { page } = reader;
  const weighed = [];
  const weigh = async (answer) => {
    const { pathname } = new URL(answer.url());
    return pathname === "/" || pathname.startsWith("/assets/") ? gzipSync(await answer.body()).length : 0;
  };
  const note = (answer) => weighed.push(weigh(answer));
  page.on("response", note);
  await page.goto(input.url);
  await reader.ready();
  const sizes = await Promise.all(weighed);
  page.off("response", note);

  const times = [];
  const drawn = [];
  for (const node of input.nodes) {
    let state;
    let count = -NODES;
    for (const [up, down] of LEVELS) {
      const asked = `#${new URLSearchParams({ node, up, down })}`;
      await reader.open(asked);
      const found = await page.locator(".lineage .node").count();
      if (Math.abs(found - NODES) < Math.abs(count - NODES)) [state, count] = [asked, found];
      if (found >= NODES) break;
    }
    drawn.push(count);
    // Another document in between, so that the page itself is loaded again, too.
    await page.goto("about:blank");
    await page.goto(new URL(state, input.url.split("#")[0]).href, { waitUntil: "commit" });
    const shown = await page.waitForFunction(() => {
      const main = document.getElementById("main");
      return main?.dataset.ready === location.hash && !main.hasAttribute("aria-busy") && performance.now();
    });
    times.push(await shown.jsonValue());
  }
  const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
  console.log(JSON.stringify({ ready: median(times), slowest: times.at(-1), drawn: median(drawn), bytes: sizes.reduce((sum, size) => sum + size, 0) }));
});
