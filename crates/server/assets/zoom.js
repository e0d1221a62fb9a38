// The size of the picture in its frame, and moving it with the mouse.

import { button, make } from "./dom.js";

const STEP = 1.25;
/** Smaller than this, names cannot be read. */
const LEAST_FIT = 0.55;

/** Makes a picture larger and smaller inside a frame that scrolls. */
export class Zoom {
  constructor(frame, svg) {
    this.frame = frame;
    this.svg = svg;
    this.size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
    this.scale = 1;
    frame.onwheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.to(this.scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
    };
    drag(frame);
  }

  larger() {
    this.to(this.scale * STEP);
  }

  smaller() {
    this.to(this.scale / STEP);
  }

  /** The whole picture, unless it would be too small to read. */
  fit() {
    const { clientWidth, clientHeight } = this.frame;
    const whole = Math.min(clientWidth / this.size.width, clientHeight / this.size.height, 1);
    this.to(Math.max(whole, LEAST_FIT));
  }

  to(scale) {
    const { frame, svg, size } = this;
    const factor = Math.min(4, Math.max(0.1, scale)) / this.scale;
    const x = (frame.scrollLeft + frame.clientWidth / 2) * factor;
    const y = (frame.scrollTop + frame.clientHeight / 2) * factor;
    this.scale *= factor;
    svg.setAttribute("width", size.width * this.scale);
    svg.setAttribute("height", size.height * this.scale);
    frame.scrollTo(x - frame.clientWidth / 2, y - frame.clientHeight / 2);
  }

  /** Scrolls so that an element of the picture is in sight. */
  bring(element, always = false) {
    const box = element.getBoundingClientRect();
    const view = this.frame.getBoundingClientRect();
    const isOutside = box.left < view.left || box.right > view.right || box.top < view.top || box.bottom > view.bottom;
    if (!isOutside && !always) return;
    this.frame.scrollBy(box.left + box.width / 2 - view.left - view.width / 2, box.top + box.height / 2 - view.top - view.height / 2);
  }
}

/** Buttons for the size of a picture, which may be another one later. */
export function zoomTools(zoom) {
  const tool = (text, label, act) => button(text, act, { "aria-label": label, title: label });
  return make("span", { class: "group", role: "group", "aria-label": "Zoom" },
    tool("−", "Smaller", () => zoom().smaller()),
    tool("Fit", "Fit", () => zoom().fit()),
    tool("+", "Larger", () => zoom().larger()));
}

function drag(frame) {
  frame.onpointerdown = (down) => {
    if (down.pointerType !== "mouse" || down.button !== 0 || down.target.closest(".node")) return;
    const [x, y] = [frame.scrollLeft + down.clientX, frame.scrollTop + down.clientY];
    frame.classList.add("dragged");
    frame.onpointermove = (move) => frame.scrollTo(x - move.clientX, y - move.clientY);
    frame.onpointerup = frame.onpointerleave = () => {
      frame.classList.remove("dragged");
      frame.onpointermove = frame.onpointerup = frame.onpointerleave = null;
    };
  };
}
