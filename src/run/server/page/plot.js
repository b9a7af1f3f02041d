// One series of 24 hours as a plot: the mean as a line in the band from minimum to maximum, and a value for each point by pointer, touch
// and keyboard.

import { clock, h, number, say, svg } from "./dom.js";

const WIDTH = 288;
const HEIGHT = 100;

// Round numbers that enclose least and greatest, and the steps between them.
export function ticks(least, greatest) {
  if (least > 0 && least < greatest * 0.6) least = 0;
  if (greatest - least < 1e-9 * Math.max(1, Math.abs(greatest))) {
    const room = Math.abs(greatest) * 0.1 || 1;
    [least, greatest] = [least - room, greatest + room];
  }
  const raw = (greatest - least) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find((n) => n * power >= raw * 0.999);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.ceil(greatest / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

// The points of a series that lie in the 24 hours before `now`.
export function points(series, step, now) {
  const start = (Math.floor(now / step) + 1) * step - 86400;
  const all = series.mean.map((mean, n) => ({
    unix: series.from_unix + n * step, mean, min: series.min[n], max: series.max[n],
  }));
  return { start, list: all.filter((point) => point.unix >= start && point.unix < start + 86400) };
}

// Runs of points without a gap.
function runs(list) {
  const found = [];
  let run = null;
  for (const point of list) {
    if (point.mean === null) run = null;
    else if (run) run.push(point);
    else found.push(run = [point]);
  }
  return found;
}

export class Plot {
  constructor(title, level = "h3") {
    this.shapes = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.cursor = h("span", { class: "cursor", hidden: true });
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, oninput: () => this.show(), onblur: () => this.rest() });
    this.slider.setAttribute("aria-label", title + ", values of 24 hours");
    this.area = h("div", { class: "area" }, this.shapes, this.cursor, this.slider);
    this.area.addEventListener("pointermove", (event) => this.follow(event));
    this.area.addEventListener("pointerleave", () => this.rest());
    this.ys = h("div", { class: "ys", "aria-hidden": "true" });
    this.xs = h("div", { class: "xs", "aria-hidden": "true" });
    this.value = h("p", { class: "value" });
    this.heading = h(level, {});
    this.element = h("figure", { class: "plot" }, h("figcaption", {}, this.heading, this.value), this.ys, this.area, this.xs);
  }

  set(series, step, now) {
    const { start, list } = points(series, step, now);
    Object.assign(this, { step, start, list, known: list.filter((point) => point.mean !== null) });
    this.slider.max = Math.max(0, this.known.length - 1);
    this.slider.disabled = this.known.length === 0;
    if (this.known.length > 0) this.draw();
    if (!this.isRead) this.rest();
  }

  x(unix) {
    return ((unix + this.step / 2 - this.start) / 86400) * WIDTH;
  }

  draw() {
    const scale = ticks(Math.min(...this.known.map((p) => p.min)), Math.max(...this.known.map((p) => p.max)));
    const [low, high] = [scale[0], scale[scale.length - 1]];
    const share = (value) => (high - value) / (high - low);
    const at = (point, value) => this.x(point.unix).toFixed(2) + " " + (share(value) * HEIGHT).toFixed(2);
    const grid = scale.map((tick) => `M0 ${(share(tick) * HEIGHT).toFixed(2)}H${WIDTH}`).join("");
    const marks = [];
    for (let unix = Math.ceil(this.start / 21600) * 21600; unix < this.start + 86400; unix += 21600) marks.push(unix);
    const days = marks.map((unix) => `M${(((unix - this.start) / 86400) * WIDTH).toFixed(2)} 0V${HEIGHT}`).join("");
    const list = runs(this.list);
    const band = list.map((run) =>
      "M" + run.map((p) => at(p, p.max)).join("L") + "L" + run.slice().reverse().map((p) => at(p, p.min)).join("L") + "Z").join("");
    const line = list.map((run) => "M" + run.map((p) => at(p, p.mean)).join("L") + (run.length === 1 ? "h.01" : "")).join("");
    this.shapes.replaceChildren(
      svg("path", { class: "grid", d: grid + days }), svg("path", { class: "band", d: band }), svg("path", { class: "mean", d: line }));
    const label = (text, side, part) => {
      const mark = h("span", {}, text);
      mark.style[side] = (part * 100).toFixed(2) + "%";
      return mark;
    };
    this.ys.replaceChildren(...scale.map((tick) => label(number(tick), "top", share(tick))));
    this.xs.replaceChildren(...marks.map((unix) => label(clock(unix), "left", (unix - this.start) / 86400)));
  }

  follow(event) {
    const box = this.area.getBoundingClientRect();
    const unix = this.start + ((event.clientX - box.left) / box.width) * 86400 - this.step / 2;
    const far = (point) => Math.abs(point.unix - unix);
    const nearest = this.known.reduce((best, point, n) => (far(point) < far(this.known[best]) ? n : best), 0);
    this.slider.value = nearest;
    this.show();
  }

  // Shows the point of the slider.
  show() {
    const point = this.known[this.slider.value];
    if (!point) return;
    this.isRead = true;
    const range = point.min === point.max ? "" : `, ${number(point.min)} to ${number(point.max)}`;
    const text = `${clock(point.unix)}: ${number(point.mean)}${range}`;
    say(this.value, text);
    this.slider.setAttribute("aria-valuetext", text);
    this.cursor.hidden = false;
    this.cursor.style.left = (this.x(point.unix) / WIDTH) * 100 + "%";
  }

  // Shows the last value, and the least and the greatest of the day.
  rest() {
    this.isRead = false;
    this.cursor.hidden = true;
    const last = this.known[this.known.length - 1];
    if (!last) return say(this.value, "no values in 24 hours");
    this.slider.value = this.slider.max;
    const [min, max] = [Math.min(...this.known.map((p) => p.min)), Math.max(...this.known.map((p) => p.max))];
    say(this.value, `now ${number(last.mean)}, ${number(min)} to ${number(max)} in 24 h`);
    this.slider.setAttribute("aria-valuetext", `${clock(last.unix)}: ${number(last.mean)}`);
  }
}
