// What several views show: events, open conditions, silences.

import { needsPeople, now, state } from "./api.js";
import { h, icon, keyed, say, span, time, when } from "./dom.js";
import { endButton, silenceButton } from "./silence.js";

// Characters of a text that are shown at once.
const LONG = 400;
// An event that comes this many seconds after it happened shows both times.
const LATE = 120;

export const hostLink = (name) => h("a", { class: "host", href: "#/host/" + encodeURIComponent(name) }, h("bdi", {}, name));

// A text from a host. Nothing in it can change what stands around it.
function message(text) {
  const chars = Array.from(text);
  if (chars.length <= LONG) return h("bdi", { class: "text" }, text);
  return h("details", { class: "text" },
    h("summary", {}, h("bdi", {}, chars.slice(0, LONG / 2).join("") + " …")), h("bdi", {}, text));
}

function eventRow(event) {
  const shape = { opened: "opened", repeated: "repeated", closed: "closed" }[event.state] || "event";
  const isLate = Math.abs(event.received_unix - event.time_unix) > LATE;
  const marks = [event.silenced && "silenced", event.tags.split(",").includes("BEHIND") && "explained", isLate && "happened " + when(event.time_unix, now())]
    .filter(Boolean);
  return h("li", { class: "event " + shape + (event.silenced ? " muted" : "") },
    time(event.received_unix, now()),
    h("span", { class: "state" }, icon(shape), " ", event.state || event.kind || ""),
    hostLink(event.host),
    h("bdi", { class: "tags" }, event.tags),
    h("span", { class: "said" }, ...marks.flatMap((mark) => [h("span", { class: "mark" }, mark), " "]), message(event.text),
      event.file && h("bdi", { class: "file" }, event.file)));
}

// Shows the latest events, at most `most`, the newest first. Returns how many.
export function showEvents(list, events, most) {
  const chosen = events.slice(-most).reverse();
  const key = (event) => (event.place ?? "") + " " + event.host + " " + event.uid;
  keyed(list, chosen, key, eventRow, () => {});
  return chosen.length;
}

export const eventList = (label) => h("ol", { class: "events", "aria-label": label });

function conditionRow(condition) {
  const row = h("li", {}, h("span", { class: "shape" }, icon(needsPeople(condition) ? "opened" : "silenced")),
    h("p", { class: "what" }),
    h("p", { class: "meta" }, hostLink(condition.host), h("bdi", { class: "tags" }, condition.tags), h("span", { class: "for" }), h("span", { class: "mark" })),
    condition.silenced ? null : silenceButton(condition.host, condition.tags));
  for (const part of ["what", "for", "mark"]) row[part] = row.querySelector("." + part);
  return row;
}

function updateCondition(row, condition) {
  row.className = needsPeople(condition) ? "bad" : "muted";
  say(row.mark, condition.silenced ? "silenced" : condition.held_back ? "behind another host" : "");
  if (row.text !== condition.text) row.what.replaceChildren(message(condition.text));
  row.text = condition.text;
  say(row.for, "open for " + span(now() - condition.since_unix));
}

// Shows open conditions: those that need people first, then the latest first.
export function showConditions(list, conditions, most = 100) {
  const order = (c) => (needsPeople(c) ? 0 : 1);
  const sorted = conditions.slice().sort((a, b) => order(a) - order(b) || b.since_unix - a.since_unix);
  const key = (c) => `${order(c)}${c.silenced}${state.canSilence} ${c.host} ${c.key}`;
  keyed(list, sorted.slice(0, most), key, conditionRow, updateCondition);
  return sorted.length - most;
}

// Shows silences, each with a button that ends it.
export function showSilences(list, silences) {
  const row = (silence) => h("li", { class: "muted" }, h("span", { class: "shape" }, icon("silenced")),
    h("p", { class: "what" }, h("bdi", {}, silence.reason || "no reason given")),
    h("p", { class: "meta" }, h("bdi", { class: "host" }, silence.host), h("bdi", { class: "tags" }, silence.tags || "everything"), h("span", { class: "for" })),
    endButton(silence));
  const key = (s) => `${state.canSilence} ${s.host} ${s.tags} ${s.until_unix} ${s.reason}`;
  keyed(list, silences, key, row, (node, s) => say(node.querySelector(".for"), "silenced for " + span(s.until_unix - now())));
}
