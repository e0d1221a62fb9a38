// A reader chooses two runs or versions, sees where they diverge first, and takes the answer home.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { browse, input } from "./page.mjs";

await browse(async (reader) => {
  const { page } = reader;
  const row = (run) => page.locator("tbody tr", { has: page.locator(`a[href^="#node=run%3A${run}"]`) }).first();
  const sides = () => [reader.state().get("a"), reader.state().get("b")];
  const outcome = () => page.textContent(".report > .toolbar h3");

  await page.goto(input.url);
  await reader.ready();
  assert.ok(await page.locator("#base").isHidden());

  // Two rows of the table, the first one with the mouse and the second by key.
  await reader.then(() => row("train-a").locator("button", { hasText: "Compare" }).click());
  assert.equal(reader.state().get("base"), "run:train-a");
  assert.match(await page.textContent("#base"), /Compare train-a with a second run or version/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "base");
  assert.match(await row("train-a").textContent(), /first of two/);
  await reader.isAccessible("choosing");
  await reader.then(() => row("train-b").locator("a", { hasText: "Compare with this" }).focus().then(() => page.keyboard.press("Enter")));
  assert.deepEqual(sides(), ["run:train-a", "run:train-b"]);
  assert.ok(await page.locator("#base").isHidden());
  assert.equal(await outcome(), "They differ: 1 first point of divergence, 1 pair follows");

  // The first point of divergence stands open, with its own differences alone.
  const first = page.locator(".report > .listed", { hasText: "First points of divergence" });
  assert.match(await first.locator("summary").first().textContent(), /prepare-may → prepare-june, 1 level up, by the artifact data\/train.csv/);
  const cells = await first.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
  assert.deepEqual(cells, [["param", "month", "may", "june", ""], ["dataset", "clicks (training)", "clicks@1111", "clicks@2222", ""]]);
  const follows = page.locator(".report > .listed", { hasText: "What follows from these" });
  assert.ok(!(await follows.locator("table").isVisible()));
  await follows.locator("summary").click();
  assert.match(await follows.textContent(), /rate\s*low\s*high/);
  assert.match(await follows.textContent(), /made by prepare-may → prepare-june \(first point of divergence\)/);

  // The picture, by key: all that lies up and down of a pair is lit, and the panel tells of both sides.
  const pair = page.locator('.lineage .node[data-id^="run:prep-a"]');
  await reader.then(() => pair.focus().then(() => page.keyboard.press("Enter")));
  assert.equal(reader.state().get("at"), "run:prep-a → run:prep-b");
  const panel = await page.textContent(".panel");
  for (const told of ["first difference", "prep-a", "prep-b", "may → june"]) assert.ok(panel.includes(told), `${told}: ${panel}`);
  const lit = await page.locator(".lineage .node.lit .name").allTextContents();
  assert.ok(lit.includes("clicks (training)") && lit.includes("train"), lit.join());
  await page.keyboard.press("ArrowRight");
  assert.match(await page.evaluate(() => document.activeElement.dataset.id), /^artifact:prep-a/);
  assert.equal(await page.locator(".panel a", { hasText: "prep-a" }).getAttribute("href"), "#node=run%3Aprep-a");
  await reader.isAccessible("diff");

  const save = async (title) => {
    await page.click(".report .menu > summary");
    const [saved] = await Promise.all([page.waitForEvent("download"), page.locator(".report .menu a", { hasText: title }).click()]);
    await page.keyboard.press("Escape");
    return readFileSync(await saved.path());
  };
  const svg = (await save("SVG")).toString();
  assert.ok(svg.startsWith("<svg") && svg.includes("prepare-may") && svg.includes("first difference"), svg.slice(0, 200));
  assert.equal((await save("PNG")).subarray(1, 4).toString(), "PNG");
  assert.match((await save("CSV")).toString(), /^depth,state,run_a,run_b,what,name,a,b,remark\n0,follows,/);
  assert.equal(JSON.parse(await save("JSON")).pairs[1].state, "first");
  assert.match((await save("HTML")).toString(), /<title>Diff of run:train-a and run:train-b<\/title>/);

  // The address holds the state.
  const before = { url: page.url(), names: await reader.names() };
  await page.reload();
  await reader.ready();
  assert.deepEqual({ url: page.url(), names: await reader.names() }, before);
  assert.equal(await page.locator(".lineage .node.choice").count(), 1);
  await reader.then(() => page.goBack());
  assert.equal(reader.state().get("base"), "run:train-a");
  assert.equal(await row("train-b").locator("a", { hasText: "Compare with this" }).count(), 1);
  await reader.then(() => page.click("#base button"));
  assert.ok(await page.locator("#base").isHidden());
  assert.equal(await page.locator("a", { hasText: "Compare with this" }).count(), 0);

  // Two versions, each from its page. The first one stays chosen while the reader searches.
  await reader.open("#node=model%3Achurn%3A7");
  await reader.then(() => page.locator(".node-head button", { hasText: "Compare" }).click());
  await reader.photograph("first-of-two");
  await page.fill("#query", "model:churn:8");
  await reader.then(() => page.keyboard.press("Enter"));
  await reader.then(() => page.locator(".node-head a", { hasText: "Compare with this" }).click());
  assert.deepEqual(sides(), ["model:churn:7", "model:churn:8"]);
  const shown = await reader.names();
  assert.ok(shown.some((name) => name.includes("churn:7 → churn:8")), shown.join());
  await reader.then(() => page.locator("a", { hasText: "Swap A and B" }).click());
  assert.deepEqual(sides(), ["model:churn:8", "model:churn:7"]);
  assert.match(await page.textContent(".report tbody"), /june\s*may/);

  // What could not be compared is told; so is that nothing differs.
  const compare = (a, b) => reader.open(`#${new URLSearchParams({ a, b })}`);
  await compare("run:score-a", "run:score-b");
  assert.match(await page.textContent(".doubts"), /old-a → prepare-old: a run is not mirrored/);
  assert.match(await page.textContent(".report"), /2 against 1|several against several/);
  await reader.isAccessible("unknown");
  await compare("run:same-a", "run:same-b");
  assert.equal(await outcome(), "Equal: nothing that is mirrored differs");
  await reader.photograph("equal");
  await compare("run:same-a", "run:nobody");
  assert.match(await page.textContent("main"), /the mirror has never seen run:nobody/);
  await compare("model:churn", "run:same-a");
  assert.match(await page.textContent("main"), /model:churn names no version/);
  assert.equal(reader.refusals(), 2);
});
