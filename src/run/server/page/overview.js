// All hosts, what is open, and the latest events.

import { Feed, needsPeople, now, standing, state } from "./api.js";
import { field, h, icon, keyed, LongList, plural, say, section, span } from "./dom.js";
import { eventList, showConditions, showEvents } from "./parts.js";

const STATES = ["silent", "stopped", "never seen", "unknown", "alive"];
const LATEST = 25;

export class Overview {
  constructor(query, go) {
    this.title = "Overview";
    this.feed = new Feed({ numbers: "no" });
    this.query = query;
    this.verdict = h("p", { class: "verdict" });
    this.conditions = h("ol", { class: "rows", "aria-label": "Open conditions" });
    this.more = h("p", { class: "empty" });
    this.counts = h("div", { class: "chips", role: "group", "aria-label": "Only hosts that are" });
    this.search = h("input", { type: "search", autocomplete: "off", spellcheck: "false", value: query.q || "" });
    this.search.addEventListener("input", () => {
      this.query.q = this.search.value;
      go("/", this.query);
      this.update();
    });
    this.go = go;
    this.hosts = new LongList("Hosts", "tiles", (item) => item.host.name, makeTile, updateTile);
    this.none = h("p", { class: "empty" });
    this.events = eventList("Latest events");
    this.noEvents = h("p", { class: "empty" }, "No events yet.");
    this.open = section("open", "Open now", this.verdict, this.conditions, this.more);
    this.element = h("div", { class: "overview" },
      h("h1", { class: "unseen", tabindex: -1 }, "Overview"),
      h("div", {}, this.open,
        section("hosts", "Hosts", h("div", { class: "filters" }, field("Search", this.search), this.counts), this.hosts.element, this.none)),
      section("latest", "Latest events", this.events, this.noEvents, h("p", {}, h("a", { href: "#/events" }, "All events"))));
  }

  update() {
    const { hosts, conditions } = state.status;
    const open = conditions.filter(needsPeople);
    say(this.verdict, verdict(open.length));
    this.open.className = open.length > 0 ? "bad" : "good";
    const hidden = showConditions(this.conditions, conditions);
    const muted = conditions.length - open.length;
    say(this.more, (hidden > 0 ? `${hidden} more are not shown: the hosts below are in the order of what is open. ` : "")
      + (muted > 0 ? `${plural(muted, "other")} ${muted === 1 ? "is" : "are"} silenced, or explained by another host.` : ""));

    const byHost = new Map();
    for (const c of conditions) byHost.get(c.host)?.push(c) ?? byHost.set(c.host, [c]);
    const items = hosts.map((host) => ({ host, standing: standing(host, byHost.get(host.name) || []) }));
    this.showCounts(items);
    const wanted = (this.query.q || "").toLowerCase().split(/\s+/).filter(Boolean);
    const text = ({ host: x }) => [x.name, x.state, x.version, x.address, x.target, x.configuration].join(" ").toLowerCase();
    const chosen = items.filter((item) =>
      (!this.query.state || item.host.state === this.query.state) && wanted.every((word) => text(item).includes(word)));
    chosen.sort((a, b) => a.standing.rank - b.standing.rank || (a.host.name < b.host.name ? -1 : 1));
    this.hosts.set(chosen);
    say(this.none, hosts.length === 0 ? "No host yet. Put a file into the folder that hosts: names, and start an agent."
      : chosen.length === 0 ? "No host matches." : "");
    this.noEvents.hidden = showEvents(this.events, this.feed.events, LATEST) > 0 || !this.feed.loaded;
  }

  showCounts(items) {
    const count = (name) => items.filter((item) => item.host.state === name).length;
    const states = STATES.filter((name) => count(name) > 0 || this.query.state === name);
    const choose = (name) => {
      this.query.state = this.query.state === name ? "" : name;
      this.go("/", this.query);
      this.update();
    };
    const chip = (name) => h("button", { type: "button", onclick: () => choose(name) }, icon(name === "never seen" ? "never" : name), " ", h("span", {}));
    keyed(this.counts, states, (name) => name, chip, (node, name) => {
      node.setAttribute("aria-pressed", this.query.state === name);
      say(node.lastChild, `${count(name)} ${name}`);
    });
  }

  leave() {
    this.hosts.stop.abort();
  }
}

export const verdict = (open) => (open === 0 ? "Nothing is open." : `${plural(open, "condition")} ${open === 1 ? "is" : "are"} open.`);

export function heard(host) {
  if (!host.heard_unix) return "";
  const ago = span(now() - host.heard_unix);
  return host.state === "silent" ? `for ${ago}` : `heard ${ago} ago`;
}

function makeTile() {
  const link = h("a", {}, h("bdi", { class: "name" }));
  const tile = h("li", { class: "tile" }, h("span", { class: "shape" }), link, h("span", { class: "badge" }), h("span", { class: "stand" }), h("span", { class: "agent" }));
  for (const part of ["shape", "badge", "stand", "agent", "name"]) tile[part] = tile.querySelector("." + part);
  tile.link = link;
  return tile;
}

function updateTile(tile, { host, standing }) {
  tile.className = "tile " + standing.level;
  if (tile.drawn !== standing.shape) tile.shape.replaceChildren(icon(standing.shape));
  tile.drawn = standing.shape;
  tile.link.setAttribute("href", "#/host/" + encodeURIComponent(host.name));
  tile.link.title = host.name;
  say(tile.name, host.name);
  say(tile.badge, host.open > 0 ? `${host.open} open` : "");
  say(tile.stand, [standing.words, heard(host)].filter(Boolean).join(" · "));
  const version = host.version || (host.protocol === "1" ? "protocol 1" : "");
  say(tile.agent, [version, host.configuration === "late" && "configuration late", host.key === "missing" && "no key", host.silenced && "silenced"]
    .filter(Boolean).join(" · "));
}
