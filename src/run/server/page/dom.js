// Elements, texts and times. Whatever comes from the server becomes a text node or an attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";

// An element. `props` are attributes; `on…` is a listener; null, false and undefined are left out.
export function h(tag, props, ...children) {
  const element = typeof tag === "string" ? document.createElement(tag) : tag;
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const svg = (tag, props, ...children) => h(document.createElementNS(SVG, tag), props, ...children);

// One of the shapes of index.html. The word beside it says the same.
export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: "#" + name }));

// Sets a text, and touches nothing if it is the same: so what is selected stays, and nothing is read out again.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Gives `parent` one child for each item, in their order. A child with the same key stays, with its focus.
export function keyed(parent, items, key, make, update) {
  const old = parent.children_by_key || new Map();
  const next = new Map();
  for (const item of items) next.set(key(item), old.get(key(item)));
  for (const [name, node] of old) if (!next.has(name)) node.remove();
  let at = parent.firstChild;
  for (const item of items) {
    const node = next.get(key(item)) || make(item);
    next.set(key(item), node);
    update(node, item);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  parent.children_by_key = next;
}

// `3 d`, `5 min`: a time span in its largest unit, as `ax436 status` prints it.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

const two = (n) => String(n).padStart(2, "0");

export function clock(unix) {
  const d = new Date(unix * 1000);
  return two(d.getHours()) + ":" + two(d.getMinutes());
}

// A time of today without its date.
export function when(unix, now) {
  const d = new Date(unix * 1000);
  const today = new Date(now * 1000);
  const time = clock(unix) + ":" + two(d.getSeconds());
  if (today.toDateString() === d.toDateString()) return time;
  const year = today.getFullYear() === d.getFullYear() ? "" : d.getFullYear() + " ";
  return year + d.toDateString().slice(4, 10) + " " + time;
}

export function time(unix, now) {
  const date = new Date(unix * 1000);
  return h("time", { datetime: isNaN(date) ? null : date.toISOString() }, when(unix, now));
}

// Four digits, with k, M, G, T or P from 100,000 on.
export function number(value) {
  const size = Math.abs(value);
  const power = size < 1e5 ? 0 : Math.min(5, Math.floor(Math.log10(size) / 3));
  const part = value / 1000 ** power;
  return (Number.isInteger(part) && size < 1e18 ? part : Number(part.toPrecision(4))) + ["", "k", "M", "G", "T", "P"][power];
}

export const plural = (count, word) => count + " " + word + (count === 1 ? "" : "s");

// A part with a heading.
export function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

// A field of a form with its label.
export function field(label, input) {
  return h("label", {}, h("span", {}, label), input);
}

// A list of which only what is seen has elements, once it is long. Its items have one height, which the style sheet sets.
export class LongList {
  static WHOLE = 400;

  constructor(label, name, key, make, update) {
    this.element = h("ul", { class: name, "aria-label": label });
    this.items = [];
    Object.assign(this, { key, make, update });
    this.due = false;
    const draw = () => this.drawSoon();
    this.stop = new AbortController();
    addEventListener("scroll", draw, { passive: true, signal: this.stop.signal });
    addEventListener("resize", draw, { passive: true, signal: this.stop.signal });
  }

  set(items) {
    this.items = items;
    this.draw();
  }

  drawSoon() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      if (this.element.isConnected) this.draw();
    });
  }

  draw() {
    const all = this.items.length;
    let [from, to] = [0, all];
    this.element.classList.toggle("windowed", all > LongList.WHOLE);
    if (all > LongList.WHOLE) {
      const style = getComputedStyle(this.element);
      const columns = style.gridTemplateColumns.split(" ").length;
      const row = parseFloat(style.gridAutoRows) + parseFloat(style.rowGap) || 100;
      const rows = Math.ceil(all / columns);
      const top = -this.element.getBoundingClientRect().top;
      const first = Math.max(0, Math.min(rows - 1, Math.floor((top - innerHeight / 2) / row)));
      const last = Math.max(0, Math.ceil((top + innerHeight * 1.5) / row));
      [from, to] = [first * columns, Math.min(all, (last + 1) * columns)];
      this.element.style.paddingTop = first * row + "px";
      this.element.style.height = rows * row + "px";
    } else {
      this.element.style.paddingTop = this.element.style.height = "";
    }
    const shown = this.items.slice(from, to);
    keyed(this.element, shown, this.key, this.make, this.update);
    [...this.element.children].forEach((child, n) => {
      h(child, { "aria-setsize": all, "aria-posinset": from + n + 1 });
    });
  }
}
