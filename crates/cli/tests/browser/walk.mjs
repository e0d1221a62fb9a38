// A reader goes from the name of a model to its lineage, unfolds it, reads about a run, and takes the results home.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { browse, input } from "./page.mjs";

/** The page, its style sheet and its modules, compressed. */
const LARGEST = 60_000;

await browse(async (reader) => {
  const { page } = reader;

  let size = 0;
  const counted = [];
  const weigh = async (answer) => {
    const { pathname } = new URL(answer.url());
    if (pathname !== "/" && !pathname.startsWith("/assets/")) return;
    const body = await answer.body();
    size += gzipSync(body).length;
  };
  page.on("response", (answer) => counted.push(weigh(answer)));

  await page.goto(input.url);
  await reader.ready();
  await Promise.all(counted);
  assert.ok(size > 10_000 && size <= LARGEST, `${size} bytes`);
  console.log(`page, style sheet and modules: ${size} bytes compressed`);
  assert.equal(page.url().includes("token"), false);
  assert.match(await page.textContent("#freshness"), new RegExp(`${input.source}.*as of `));
  await page.waitForSelector("#facets section");
  assert.ok((await page.locator("tbody tr").count()) >= 40);
  await page.waitForTimeout(300);
  await reader.isAccessible("start");

  // A name, a suggestion, its page.
  await page.fill("#query", input.model.slice(0, -2));
  const option = page.locator("#suggestions li", { hasText: input.model }).first();
  await option.waitFor();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.getAttribute("#query", "aria-activedescendant"), "suggestion-0");
  await reader.photograph("suggestions");
  await reader.then(() => option.click());
  assert.equal(reader.state().get("node"), `model:${input.model}`);

  const version = `model:${input.model}:1`;
  await reader.open(`#${new URLSearchParams({ node: version })}`);
  let names = await reader.names();
  assert.ok(names.includes("+38 more"), names.join());
  assert.ok(names.length <= 10, `a small first view: ${names}`);
  await reader.isAccessible("node");

  // Unfold by click, and by key.
  const shape = (id) => page.locator(`.lineage .node[data-id="${id}"]`);
  assert.ok(!names.includes("prepare"));
  await reader.then(() => shape(input.train).locator(".pill.up").click());
  names = await reader.names();
  assert.ok(names.includes("prepare") && names.includes("data/train.csv"), names.join());
  await reader.photograph("unfolded");
  await reader.then(() => shape(input.score).focus().then(() => page.keyboard.press("]")));
  names = await reader.names();
  assert.ok(names.includes("scores.csv"), names.join());
  assert.deepEqual(reader.state().getAll("unfold_down"), [input.score]);
  // What is shown is not hidden any more.
  assert.equal(await shape(input.score).locator(".pill.down").count(), 0);

  // The arrow keys lead along the edges.
  await shape(version).focus();
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), input.train);
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), version);

  // Choose a node: all that lies up and down is lit, and the panel tells about it.
  await reader.then(() => page.locator("#find").fill("prepare").then(() => page.locator(".found button").first().waitFor()).then(() => page.keyboard.press("Enter")));
  await reader.then(() => shape(input.train).click());
  const lit = await page.locator(".lineage .node.lit .name").allTextContents();
  assert.ok(["prepare", "data/train.csv", "train", "+38 more"].every((name) => lit.includes(name)), lit.join());
  await page.waitForSelector(".panel .values");
  const panel = await page.textContent(".panel");
  for (const fact of ["FINISHED", "rate", "0.5", "Inputs (1)", "data/train.csv", "from tag"]) {
    assert.ok(panel.includes(fact), `${fact}: ${panel}`);
  }
  const link = await page.locator(".panel a", { hasText: "Open in MLflow" }).getAttribute("href");
  assert.ok(link.startsWith(`${input.source}/#/experiments/`) && link.includes(input.train.slice(4)), link);
  await reader.isAccessible("chosen");

  // A deleted run is marked as such in the picture and beside it.
  await reader.then(() => shape(input.deleted).click());
  assert.match(await page.textContent(".panel .badges"), /deleted in MLflow/);
  assert.ok((await shape(input.deleted).getAttribute("class")).includes("deleted"));

  // The fold has a search of its own, and gives a node into the picture.
  await reader.then(() => page.locator(".lineage .node.folded").click());
  await page.fill("#fold-search", "fan-41");
  await page.waitForFunction(() => document.querySelectorAll(".panel .lineage-list li").length === 1);
  await reader.isAccessible("fold");
  await reader.then(() => page.click(".panel .lineage-list button"));
  names = await reader.names();
  assert.ok(names.includes("fan-41") && names.includes("+37 more"), names.join());
  // The search of the graph finds folded nodes too.
  await page.fill("#find", "fan-30");
  await reader.then(() => page.locator(".found button").click());
  assert.ok((await reader.names()).includes("fan-30"));

  // The files hold what is seen.
  const save = async (title) => {
    await page.click(".graph .menu > summary");
    const [saved] = await Promise.all([page.waitForEvent("download"), page.locator(".graph .menu a", { hasText: title }).click()]);
    await page.click(".graph .menu > summary");
    return readFileSync(await saved.path());
  };
  const svg = (await save("SVG")).toString();
  assert.ok(svg.startsWith("<svg") && svg.includes("fan-41") && svg.includes("scores.csv") && svg.includes("+36 more"), svg.slice(0, 200));
  assert.equal((await save("PNG")).subarray(1, 4).toString(), "PNG");
  assert.match((await save("CSV")).toString(), /^from,to,relation/);
  const json = JSON.parse(await save("JSON"));
  const unfolded = json.nodes.map((node) => node.id);
  assert.ok([input.score, input.train, version].every((id) => unfolded.includes(id)));

  // The address holds the whole state: a reload and the way back show the same.
  const before = { url: page.url(), names: (await reader.names()).sort() };
  await page.reload();
  await reader.ready();
  assert.deepEqual({ url: page.url(), names: (await reader.names()).sort() }, before);
  assert.equal(await page.locator(".lineage .node.choice").count(), 1);
  await reader.then(() => page.goBack());
  assert.ok(!(await reader.names()).includes("fan-30"));
  await reader.then(() => page.goForward());
  assert.deepEqual((await reader.names()).sort(), before.names);

  // What it reached, and where it came from.
  await reader.then(() => page.locator("nav a", { hasText: "Impact" }).click());
  assert.match(await page.textContent(".report h3"), /^Reached 4[34] runs/);
  assert.match(await page.textContent(".report"), /champion/);
  await reader.isAccessible("impact");
  await reader.then(() => page.locator("nav a", { hasText: "Provenance" }).click());
  assert.match(await page.textContent(".report"), /prepare/);
  assert.match(await page.textContent(".report"), /0123456789ab/);
  await reader.isAccessible("provenance");
  await reader.then(() => page.goBack());
  assert.equal(reader.state().get("tab"), "impact");

  // A condition: its error stands in its place, then a facet narrows it.
  await page.fill("#query", "user = 'ana' und status = 'FAILED'");
  await reader.then(() => page.keyboard.press("Enter"));
  assert.match(await page.textContent("#query-error"), /Column 14: expected/);
  assert.equal(await page.textContent("#query-error mark"), "u");
  assert.equal(reader.refusals(), 1);
  await reader.isAccessible("error");
  await page.fill("#query", "user = 'ana'");
  await reader.then(() => page.keyboard.press("Enter"));
  const all = await page.locator("tbody tr").count();
  await page.waitForSelector("#facets section:nth-of-type(2)");
  await reader.then(() => page.locator("#facets button", { hasText: "FAILED" }).click());
  assert.equal(reader.state().get("q"), "user = 'ana' and status = 'FAILED'");
  const failed = await page.locator("tbody tr").count();
  assert.ok(failed > 0 && failed < all, `${failed} of ${all}`);
  await reader.open(`#${new URLSearchParams({ q: "user = 'ana' OR user = 'bo'" })}`);
  await page.waitForSelector("#facets section:nth-of-type(2)");
  await reader.then(() => page.locator("#facets button", { hasText: "FAILED" }).click());
  assert.equal(reader.state().get("q"), "(user = 'ana' OR user = 'bo') and status = 'FAILED'");
  await reader.open(`#${new URLSearchParams({ q: '{"user":"ana"}' })}`);
  await page.waitForSelector("#facets section:nth-of-type(2)");
  assert.equal(await page.locator("#facets button").count(), 0);
  // The exported file has all runs, in whatever order the table is.
  await reader.open("#sort=-user");
  const exported = await page.locator(".results .menu a", { hasText: "CSV" }).getAttribute("href");
  assert.match(exported, /limit=0/);
  assert.doesNotMatch(exported, /sort=-user/);
  await page.waitForTimeout(300);
  await reader.isAccessible("results");

  // Names that read like nodes are no selections, and a selection may be empty.
  for (const q of [`input.model = 'Churn model:2' and metrics.auc > 0.9`, `input = "model:churn:2" and status = FINISHED`]) {
    await page.fill("#query", q);
    await reader.then(() => page.keyboard.press("Enter"));
    assert.equal(reader.state().get("q"), q);
  }
  await page.fill("#query", `${version} and ${input.train}`);
  await reader.then(() => page.keyboard.press("Enter"));
  assert.match(await page.textContent("main"), /No node is in the selection/);
  // Two changes at once are both in the address.
  await reader.open(`#${new URLSearchParams({ node: version })}`);
  await reader.then(() => page.evaluate(() => {
    for (const level of document.querySelectorAll(".graph .toolbar select")) {
      level.value = "0";
      level.dispatchEvent(new Event("change"));
    }
  }));
  assert.deepEqual([reader.state().get("up"), reader.state().get("down")], ["0", "0"]);

  // Nothing has this name; no node has this id.
  await reader.open("#q=nobody-has-this-name");
  assert.match(await page.textContent("main"), /No name begins with this text/);
  await reader.isAccessible("names");
  await reader.open("#node=run:00000000000000000000000000000000");
  assert.match(await page.textContent("main"), /the mirror has never seen/);
  assert.equal(reader.refusals(), 1);

  const begun = performance.now();
  await reader.open(`#${new URLSearchParams({ node: version, down: "all" })}`);
  console.log(`a node's page after ${Math.round(performance.now() - begun)} ms`);
});
