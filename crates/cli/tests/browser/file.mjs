// The HTML files that the program writes: opened from the disk, they have no barrier that axe finds.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { browse, input } from "./page.mjs";

await browse(async (reader) => {
  const { page } = reader;
  for (const file of input.files) {
    await page.goto(pathToFileURL(file).href);
    assert.ok((await page.locator("svg .node").count()) > 1, file);
    await reader.isAccessible(file.split("/").at(-1));
    await page.locator("svg .node").first().click();
    await reader.isAccessible(`${file.split("/").at(-1)}-chosen`);
  }
});
