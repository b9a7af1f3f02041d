// The numbers of all hosts: one plot for each series, asked for when it is seen.

import { ask, now } from "./api.js";
import { field, h, LongList, plural, say } from "./dom.js";
import { Plot } from "./plot.js";

const KNOWN_SECONDS = 3600;
const DUE_MS = 120000;

export class Metrics {
  constructor(query, go) {
    this.title = "Metrics";
    this.query = query;
    this.all = null;
    this.days = new Map();
    this.queue = [];
    this.due = 0;
    const input = (name, title, hint) => {
      const element = h("input", { type: "search", value: query[name] || "", placeholder: hint, autocomplete: "off", spellcheck: "false" });
      element.addEventListener("input", () => {
        this.query[name] = element.value;
        go("/metrics", this.query);
        this.show();
      });
      return field(title, element);
    };
    this.list = new LongList("Plots", "plots many", (series) => series.host + "\n" + series.tags, (series) => this.make(series), (node, series) => this.fill(node, series));
    this.note = h("p", { class: "empty", role: "status" }, "Asking…");
    this.element = h("div", {}, h("h1", { tabindex: -1 }, "Metrics of 24 hours"),
      h("div", { class: "filters" }, input("host", "Host", "part of its name"), input("tags", "Tag", "part of it")), this.note, this.list.element);
  }

  update() {
    if (performance.now() >= this.due) this.askNames();
  }

  // Which series there are: those that had a sample lately.
  async askNames() {
    this.due = performance.now() + DUE_MS;
    try {
      this.all = (await ask("api/metrics?since=" + (Math.floor(now()) - KNOWN_SECONDS))).series;
      this.days.clear();
      this.show();
    } catch {
      this.due = performance.now() + 5000;
    }
  }

  show() {
    if (!this.all) return;
    const has = (text, part) => !part || text.toLowerCase().includes(part.toLowerCase());
    const chosen = this.all.filter((series) => has(series.host, this.query.host) && has(series.tags, this.query.tags));
    say(this.note, this.all.length === 0 ? "No numbers came in the last hour. The directives alert_metric: and alert_count: make some." : plural(chosen.length, "plot"));
    this.list.set(chosen);
  }

  make(series) {
    const plot = new Plot(`${series.host} ${series.tags}`, "h2");
    plot.heading.replaceChildren(h("a", { href: "#/host/" + encodeURIComponent(series.host) }, h("bdi", {}, series.host)), " ", h("bdi", {}, series.tags));
    const item = h("li", {}, plot.element);
    item.plot = plot;
    return item;
  }

  fill(item, series) {
    const day = this.days.get(series.host);
    if (day === undefined) {
      this.days.set(series.host, null);
      this.queue.push(series.host);
      if (this.queue.length === 1) this.work();
    } else if (day && item.day !== day) {
      item.day = day;
      const found = day.series.find((s) => s.host === series.host && s.tags === series.tags);
      if (found) item.plot.set(found, day.step_seconds, now());
    }
  }

  // Asks for one host after the other, the one that was seen last first.
  async work() {
    while (this.queue.length > 0 && this.element.isConnected) {
      const name = this.queue[this.queue.length - 1];
      try {
        const since = Math.floor(now()) - 86400;
        this.days.set(name, await ask(`api/metrics?host=${encodeURIComponent(name.replace(/[*?]/g, "?"))}&since=${since}`));
      } catch {
        this.days.delete(name);
      }
      this.queue = this.queue.filter((other) => other !== name);
      this.list.drawSoon();
    }
    this.queue = [];
  }

  leave() {
    this.list.stop.abort();
  }
}
