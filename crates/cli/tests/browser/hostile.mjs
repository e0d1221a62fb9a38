// Names of other people are shown as text, wherever they stand.

import assert from "node:assert/strict";
import { browse, input } from "./page.mjs";

await browse(async (reader) => {
  const { page } = reader;
  await page.goto(input.url);
  await reader.ready();
  // Every state is begun by the page itself, which is quicker than a load.
  const show = (state) => reader.then(() => page.evaluate((hash) => (location.hash = hash), String(new URLSearchParams(state))));
  const isHarmless = async (what) => {
    const found = await page.evaluate(() => ({
      elements: document.querySelectorAll("script:not([src]), img, iframe, object, embed, base, foreignObject, image, use, animate, set, meta[http-equiv]").length,
      handlers: [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes]).filter(({ name }) => /^on/i.test(name)).length,
      links: [...document.querySelectorAll("a")].map((link) => link.getAttribute("href") ?? link.getAttribute("xlink:href") ?? "#").filter((href) => !/^(#|api(\/v1\/.*)?$|blob:)/.test(href)),
      // A mark stands for each of these.
      controls: /[\u202a-\u202e\u2066-\u2069\u0000-\u0008]/.test(document.body.textContent),
      width: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    }));
    const foreign = found.links.filter((href) => !href.startsWith(`${input.source}/#/`));
    assert.deepEqual({ ...found, links: foreign }, { elements: 0, handlers: 0, links: [], controls: false, width: 0 }, what);
  };

  await isHarmless("the newest runs");
  assert.equal(await page.locator("tbody tr").count(), input.names.length);
  await page.waitForSelector("#facets section:nth-of-type(4)");
  await isHarmless("facets");
  await reader.isAccessible("hostile-table");
  for (const [number, name] of input.names.entries()) {
    const what = JSON.stringify(name.slice(0, 40));
    await show({ node: `run:run${String(number).padStart(3, "0")}` });
    await page.waitForSelector(".panel .problems");
    await isHarmless(what);
    if (name.trim() && !/[\p{Cc}\p{Cf}\p{Zl}\ufffe]/u.test(name) && name.length < 1_000) {
      assert.ok((await page.textContent(".panel h2")).includes(name), what);
    }
  }
  await reader.isAccessible("hostile-node");
  const some = input.names.filter((_, number) => number % 8 === 0);
  for (const name of some) {
    const number = input.names.indexOf(name);
    for (const tab of ["impact", "provenance"]) {
      await show({ node: `run:run${String(number).padStart(3, "0")}`, tab });
      await isHarmless(`${tab} of ${JSON.stringify(name.slice(0, 40))}`);
    }
    const [a, b] = [number, (number + 1) % input.names.length].map((one) => `run:run${String(one).padStart(3, "0")}`);
    await show({ a, b });
    await isHarmless(`the diff of ${JSON.stringify(name.slice(0, 40))}`);
    await show({ a, b, at: `${a} → ${b}` });
    await isHarmless(`a pair of ${JSON.stringify(name.slice(0, 40))}`);
    if (number === 0) await reader.isAccessible("hostile-diff");
    await show({ q: name.slice(0, 20) || "x" });
    await isHarmless(`names like ${JSON.stringify(name.slice(0, 40))}`);
  }
  reader.refusals();
});
