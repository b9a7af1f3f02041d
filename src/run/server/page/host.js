// One host: how it stands, its configuration, what is open, its numbers and its events.

import { ask, Feed, host, now, standing, state } from "./api.js";
import { h, icon, keyed, say, section, span, when } from "./dom.js";
import { eventList, hostLink, showConditions, showEvents, showSilences } from "./parts.js";
import { Plot } from "./plot.js";
import { silenceButton } from "./silence.js";
import { heard } from "./overview.js";

const EVENTS = 100;
const PLOTS_DUE_MS = 60000;

export class HostView {
  constructor(name) {
    this.name = name;
    this.title = name;
    this.feed = new Feed({ host: name.replace(/[*?]/g, "?"), numbers: "no" });
    this.heading = h("h1", { tabindex: -1 }, h("span", { class: "shape" }), h("bdi", {}, name), " ", h("span", { class: "stand" }));
    this.actions = h("p", { class: "buttons" });
    this.facts = h("dl", { class: "facts" });
    this.conditions = h("ol", { class: "rows", "aria-label": "Open conditions of this host" });
    this.silences = h("ul", { class: "rows", "aria-label": "Silences of this host" });
    this.nothing = h("p", { class: "empty" });
    this.plots = h("div", { class: "plots" });
    this.noPlots = h("p", { class: "empty" }, "Asking…");
    this.settings = eventList("Events of its configuration");
    this.late = h("p", { class: "late" });
    this.events = eventList("Events of this host");
    this.noEvents = h("p", { class: "empty" });
    this.configuration = section("configuration", "Configuration", this.late, this.settings);
    this.element = h("div", { class: "one" },
      this.heading, this.actions, this.facts,
      section("open", "Open now", this.conditions, this.nothing, this.silences),
      section("numbers", "Last 24 hours", this.plots, this.noPlots),
      this.configuration,
      section("events", "Events", this.events, this.noEvents,
        h("p", {}, h("a", { href: "#/events?host=" + encodeURIComponent(name) }, "Search the events of this host"))));
    this.plotsDue = 0;
  }

  update() {
    const found = host(this.name);
    const open = state.status.conditions.filter((c) => c.host === this.name);
    this.showHost(found, open);
    const hidden = showConditions(this.conditions, open);
    say(this.nothing, open.length === 0 ? "Nothing is open." : hidden > 0 ? `and ${hidden} more` : "");
    showSilences(this.silences, state.status.silences.filter((silence) => silence.host === this.name));
    const shown = showEvents(this.events, this.feed.events, EVENTS);
    say(this.noEvents, shown > 0 || !this.feed.loaded ? "" : "No events.");
    if (performance.now() >= this.plotsDue) this.askPlots();
  }

  showHost(found, open) {
    if (!found) {
      say(this.heading.querySelector(".stand"), "the server knows no such host");
      this.facts.replaceChildren();
      return;
    }
    const how = standing(found, open);
    this.element.className = "one " + how.level;
    if (this.shape !== how.shape) this.heading.querySelector(".shape").replaceChildren(icon(how.shape));
    this.shape = how.shape;
    say(this.heading.querySelector(".stand"), [how.words, heard(found)].filter(Boolean).join(" · "));
    if (state.canSilence !== (this.actions.childElementCount > 0)) this.actions.replaceChildren(...[silenceButton(this.name)].filter(Boolean));
    const facts = [
      ["Heard", found.heard_unix ? `${when(found.heard_unix, now())} (${span(now() - found.heard_unix)} ago)` : "never"],
      ["Address", found.address],
      ["Agent", found.version || (found.protocol === "1" ? "protocol 1 (Python)" : null)],
      ["Target", found.target],
      ["Configuration", { "in force": "in force", late: "late", none: "no host file" }[found.configuration] || "the agent does not say"],
      ["Revision", found.revision],
      ["Key", found.key],
      ["Behind", found.parent],
      ["Silenced", found.silenced ? "all of it" : null],
    ].filter(([, value]) => value);
    keyed(this.facts, facts, ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}))), (node, [name, value]) => {
      const place = node.querySelector("bdi");
      if (name === "Behind" && place.textContent !== value) place.replaceChildren(hostLink(value));
      else say(place, value);
      node.className = name === "Configuration" && found.configuration === "late" ? "warn" : "";
    });
    const isSettings = (event) => /^(Configuration |Refused by this host: )/.test(event.text);
    const settings = this.feed.events.filter(isSettings);
    showEvents(this.settings, settings, 10);
    const last = settings.findLast?.((event) => event.text.includes("in force"));
    say(this.late, found.configuration !== "late" ? (settings.length === 0 ? "No events of it among the latest." : "")
      : `Late: the server has revision ${found.revision}, and the agent another one` + (last ? `, in force since ${when(last.received_unix, now())}.` : "."));
  }

  async askPlots() {
    this.plotsDue = performance.now() + PLOTS_DUE_MS;
    try {
      const since = Math.floor(now()) - 86400;
      const answer = await ask(`api/metrics?host=${encodeURIComponent(this.name.replace(/[*?]/g, "?"))}&since=${since}`);
      const own = answer.series.filter((series) => series.host === this.name);
      const set = (plot, series) => {
        plot.owner.heading.replaceChildren(h("bdi", {}, series.tags));
        plot.owner.set(series, answer.step_seconds, now());
      };
      const make = (series) => {
        const plot = new Plot(series.tags);
        plot.element.owner = plot;
        return plot.element;
      };
      keyed(this.plots, own, (series) => series.tags, make, set);
      say(this.noPlots, own.length === 0 ? "No numbers. The directives alert_metric: and alert_count: make some." : "");
    } catch {
      this.plotsDue = performance.now() + 5000;
    }
  }
}
