// The events that match a filter, with what is open on top.

import { Feed, now, state } from "./api.js";
import { field, h, say, section } from "./dom.js";
import { eventList, showConditions, showEvents } from "./parts.js";

const FIELDS = ["host", "tags", "state", "text", "since", "numbers"];
const SINCE = [["", "any time"], ["3600", "the last hour"], ["86400", "the last day"], ["604800", "the last 7 days"]];
const PAUSE_MS = 300;

export class Events {
  constructor(query, go) {
    this.title = "Events";
    this.query = query;
    this.go = go;
    const text = (name, title, hint) => field(title, h("input", { type: "search", name, placeholder: hint, value: query[name] || "", autocomplete: "off", spellcheck: "false" }));
    const choice = (name, title, values) =>
      field(title, h("select", { name }, ...values.map(([value, word]) => h("option", { value, selected: (query[name] || "") === value }, word))));
    this.form = h("form", { class: "filters", role: "search", "aria-label": "Filter", onsubmit: (event) => event.preventDefault() },
      text("host", "Host", "nas*"), text("tags", "Tag", "DISK"),
      choice("state", "State", [["", "all"], ["opened", "opened"], ["repeated", "repeated"], ["closed", "closed"]]),
      text("text", "Text", "part of it"), choice("since", "From", SINCE),
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "numbers", checked: Boolean(query.numbers) }), h("span", {}, "with numbers")),
      h("a", { href: "#/events" }, "Clear"));
    this.form.addEventListener("input", () => this.changed());
    this.conditions = h("ol", { class: "rows", "aria-label": "Open conditions that match" });
    this.open = section("open", "Open now", this.conditions);
    this.list = eventList("Events, the newest first");
    this.note = h("p", { class: "empty", role: "status" }, "Asking…");
    this.older = h("button", { type: "button", hidden: true, onclick: () => this.askMore() }, "Older events");
    this.element = h("div", {}, h("h1", { tabindex: -1 }, "Events"), this.form, this.open, section("events", "What happened", this.list, this.note, this.older));
    this.restart();
  }

  changed() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      for (const name of FIELDS) {
        const input = this.form.elements[name];
        this.query[name] = input.type === "checkbox" ? (input.checked ? "1" : "") : input.value.trim();
      }
      this.go("/events", this.query);
      this.restart();
      this.update();
      document.dispatchEvent(new Event("feed-due"));
    }, PAUSE_MS);
  }

  restart() {
    const { host, tags, state, text, since, numbers } = this.query;
    this.feed = new Feed({ host, tags, state, text, numbers: numbers ? "" : "no", since: since ? Math.floor(now()) - Number(since) : "" });
  }

  askMore() {
    this.feed.limit = Feed.MOST;
    this.feed.next = null;
    document.dispatchEvent(new Event("feed-due"));
  }

  update() {
    const { host, tags, text } = this.query;
    const has = (pattern, value) => !pattern || wild(pattern).test(value);
    const open = state.status.conditions.filter((c) => has(host, c.host) && (!tags || [c.tags, ...c.tags.split(",")].some((tag) => has(tags, tag.trim())))
      && (!text || c.text.toLowerCase().includes(text.toLowerCase())));
    this.open.hidden = open.length === 0 || this.query.state === "closed";
    showConditions(this.conditions, open, 20);
    const shown = showEvents(this.list, this.feed.events, Feed.MOST);
    const skipped = this.feed.skipped ? " More came than this page reads: some are left out." : "";
    say(this.note, !this.feed.loaded ? "Asking…" : shown === 0 ? "No events match." : skipped);
    this.older.hidden = !this.feed.hasOlder || this.feed.limit === Feed.MOST;
  }
}

// `*` and `?` as in `ax436 events`.
export function wild(pattern) {
  return new RegExp("^" + pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".") + "$", "su");
}
