// How fresh the mirror is: always in sight, and told anew by every answer.

import { clean, make } from "./dom.js";
import { ago, dateOf, moment } from "./times.js";

/** A mirror that is older than this may mislead. */
const OLD = 24 * 60 * 60 * 1000;

/** Keeps an element up to date. */
export function keepFresh(element) {
  let mirror;
  const show = () => {
    if (mirror) element.replaceChildren(...told(mirror, element));
  };
  addEventListener("mirror", ({ detail }) => {
    mirror = detail;
    show();
  });
  setInterval(show, 30_000);
}

function told({ source, full, quick }, element) {
  const passes = [full, quick].map(dateOf).filter(Boolean);
  const last = passes.sort((a, b) => b - a)[0];
  const never = "never seen by a full pass: it may be incomplete";
  element.classList.toggle("old", !full || Date.now() - last > OLD);
  element.title = clean(`Mirror of ${source}\nLast full pass: ${moment(full) ?? "never"}\nLast quick pass: ${moment(quick) ?? "never"}`);
  const age = full ? `as of ${ago(last)}` : never;
  return [make("span", { class: "source" }, source), make("time", { datetime: last?.toISOString() }, age)];
}
