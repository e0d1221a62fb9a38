// A click goes to the node that was clicked, even if its name reads like a selection.

import assert from "node:assert/strict";
import { browse, input } from "./page.mjs";

await browse(async (reader) => {
  const { page } = reader;
  await page.goto(input.url);
  await reader.ready();
  for (const [number, name] of input.names.entries()) {
    const run = `run:run${String(number).padStart(3, "0")}`;
    await reader.open(`#${new URLSearchParams({ node: run })}`);
    const ids = await page.locator(".lineage .node").evaluateAll((nodes) => nodes.map((node) => node.dataset.id));
    assert.equal(ids.length, 4, `${name}: ${ids}`);
    for (const id of ids.filter((id) => id !== run)) {
      await reader.open(`#${new URLSearchParams({ node: run, at: id })}`);
      await reader.then(() => page.locator(".panel a", { hasText: "Centre" }).click());
      const isThere = async (how) => {
        assert.equal(reader.state().get("node"), id, how);
        assert.equal(reader.state().get("select"), null, how);
        assert.equal(await page.locator(".node-head nav a").count(), 3, how);
        const start = await page.locator(".lineage .node.start").evaluateAll((nodes) => nodes.map((node) => node.dataset.id));
        assert.deepEqual(start, [id], how);
      };
      await isThere(`a click on ${id}`);
      // What then stands in the box leads to the same node.
      await page.click("h1 a");
      await page.waitForFunction(() => location.hash.length < 2);
      await reader.ready();
      await reader.then(() => page.goBack());
      const text = await page.inputValue("#query");
      await page.fill("#query", "nobody");
      await reader.then(() => page.keyboard.press("Enter"));
      await page.fill("#query", text);
      await reader.then(() => page.keyboard.press("Enter"));
      await isThere(`${text} in the box`);
    }
    // A suggestion is no text to be parsed, either.
    await page.fill("#query", name.slice(0, 3));
    const option = page.locator("#suggestions li", { has: page.locator(".kind.dataset") }).first();
    await option.waitFor();
    await reader.then(() => option.click());
    assert.equal(reader.state().get("node")?.split("@")[0], `dataset:${name}`);
  }
  // Typed without quotes, such a text is a selection.
  await page.fill("#query", "run:run000 or run:run001");
  await reader.then(() => page.keyboard.press("Enter"));
  assert.equal(reader.state().get("select"), "run:run000 or run:run001");
  const nodes = await page.locator(".lineage .node").evaluateAll((nodes) => nodes.map((node) => node.dataset.id));
  assert.deepEqual(nodes.sort(), ["run:run000", "run:run001"]);
});
