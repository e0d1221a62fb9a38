// Elements made of texts. No data becomes markup: there is no `innerHTML` anywhere in this page.

// Control characters, and those that reorder the text around them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g;

/** The text with a visible mark in place of each character that would mislead a reader. */
export function clean(text) {
  return String(text).replace(UNSEEN, "\ufffd");
}

/** An element with attributes, of which `on…` are listeners, and children: elements or texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== undefined && value !== null) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter(isShown).map(asNode));
  return element;
}

/** A button that calls `act`. */
export function button(text, act, attributes = {}) {
  return make("button", { type: "button", onclick: act, ...attributes }, text);
}

/** A link to a page of another server, if the address is one of the web; else the text alone. */
export function webLink(address, text) {
  if (!/^https?:\/\//i.test(address ?? "")) {
    return make("span", {}, text);
  }
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** A name, or what stands for it where a reader would see nothing. */
export function legible(name, instead) {
  return clean(name ?? "").trim() === "" ? instead : name;
}

/** A list of names with values, without the values that are not known. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => isShown(value) && value !== "");
  return make("dl", {}, shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** A part of a page that can be closed. */
export function section(title, open, ...children) {
  return make("details", { open }, make("summary", {}, make("h3", {}, title)), ...children);
}

function isShown(child) {
  return child !== undefined && child !== null && child !== false;
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(clean(child));
}
