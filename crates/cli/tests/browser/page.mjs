// A page in Chromium that notes what must not happen: errors in the console, requests to elsewhere, barriers that axe finds.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(`${process.env.PACKAGES}/`);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** The machine may be busy with other tests. */
const PATIENCE = 30_000;

export const input = JSON.parse(process.env.INPUT);

/** Opens a browser, calls `drive` with its page, and checks that nothing forbidden happened. */
export async function browse(drive) {
  const profile = mkdtempSync(join(tmpdir(), "runlineage-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    args: FLAGS,
    viewport: { width: 1360, height: 800 },
    acceptDownloads: true,
  });
  const happened = [];
  try {
    const page = context.pages()[0];
    page.setDefaultTimeout(PATIENCE);
    page.on("console", (message) => message.type() === "error" && happened.push(message.text()));
    page.on("pageerror", (error) => happened.push(error.stack));
    page.on("dialog", (dialog) => happened.push(`dialog: ${dialog.message()}`));
    context.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== new URL(input.url).origin && !["blob:", "data:"].includes(protocol)) happened.push(`request to ${request.url()}`);
    });
    await drive(new Reader(page, happened));
    assert.deepEqual(happened, []);
  } catch (error) {
    // What the page complained about explains most failures.
    console.error(happened.join("\n"));
    throw error;
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

/** What a reader does with the page. */
class Reader {
  constructor(page, happened) {
    this.page = page;
    this.happened = happened;
    this.pictures = 0;
  }

  /** Goes to a state of the page, and waits until it is shown. */
  async open(hash) {
    await this.page.goto(new URL(hash, input.url.split("#")[0]).href);
    await this.ready();
  }

  async ready() {
    await this.page.waitForFunction(() => {
      const main = document.getElementById("main");
      return main?.dataset.ready === location.hash && !main.hasAttribute("aria-busy");
    });
  }

  /** Does something that leads to another state. */
  async then(act) {
    const before = this.page.url();
    await act();
    await this.page.waitForURL((url) => url.href !== before);
    await this.ready();
  }

  /** The names of the drawn nodes. */
  names() {
    return this.page.locator(".lineage .node .name").allTextContents();
  }

  state() {
    return new URLSearchParams(new URL(this.page.url()).hash.slice(1));
  }

  /** Checks the page as it is in light, in dark and on a narrow screen. */
  async isAccessible(what) {
    for (const [scheme, width] of [["light", 1360], ["dark", 1360], ["light", 390]]) {
      await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await this.page.setViewportSize({ width, height: 800 });
      // The policy of the page refuses scripts of others, so this one does not come by an element.
      await this.page.evaluate(AXE);
      // The colours are all that differs in the dark.
      const rules = scheme === "dark" ? { runOnly: ["color-contrast"] } : {};
      const { violations } = await this.page.evaluate((some) => globalThis.axe.run(document, { resultTypes: ["violations"], ...some }), rules);
      const found = violations.map(({ id, nodes }) => `${what}, ${scheme}, ${width}: ${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
      this.happened.push(...found);
      const overflow = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) this.happened.push(`${what}, ${scheme}, ${width}: the page is ${overflow} pixels too wide`);
      await this.photograph(`${what}-${scheme}-${width}`);
    }
    await this.page.setViewportSize({ width: 1360, height: 800 });
    await this.page.emulateMedia({ colorScheme: "light" });
  }

  /** Saves what is seen, if a folder for it is named. */
  async photograph(what) {
    const folder = process.env.RUNLINEAGE_TEST_SCREENSHOTS;
    if (!folder) return;
    this.pictures += 1;
    await this.page.screenshot({ path: join(folder, `${String(this.pictures).padStart(2, "0")}-${what}.png`) });
  }

  /** The browser notes each answer with an error in the console, also one that the page explains. Returns those since the last call. */
  refusals() {
    const refused = this.happened.filter((text) => text.startsWith("Failed to load resource"));
    this.happened.splice(0, this.happened.length, ...this.happened.filter((text) => !refused.includes(text)));
    return refused.length;
  }
}
