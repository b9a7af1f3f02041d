// The page: which view is shown, when the server is asked, and how it stands with the server.

import { needsPeople, now, refreshSession, refreshStatus, state } from "./api.js";
import { clock, h, say, span } from "./dom.js";
import { Events } from "./events.js";
import { HostView } from "./host.js";
import { Metrics } from "./metrics.js";
import { Overview, verdict } from "./overview.js";
import { ServerView } from "./server.js";

const $ = (id) => document.getElementById(id);

const FEED_MS = 2000;
const STATUS_MS = 15000;
// After an event that changes how things stand. Both grow with the number of hosts.
const STATUS_SOON_MS = 2000;
const MOST_RETRY_MS = 15000;

const due = { feed: 0, status: 0, session: 0 };
let view = null;
let asked = 0;
let isAsking = false;
let lastVerdict = null;

function go(path, query) {
  const set = Object.entries(query).filter(([, value]) => value);
  const hash = "#" + path + (set.length > 0 ? "?" + new URLSearchParams(set) : "");
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

function makeView() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const words = Object.fromEntries(new URLSearchParams(query || ""));
  if (path.startsWith("/host/")) return new HostView(name(path.slice(6)));
  if (path === "/events") return new Events(words, go);
  if (path === "/metrics") return new Metrics(words, go);
  if (path === "/server") return new ServerView();
  return new Overview(words, go);
}

function name(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function route() {
  // A link within the page, such as the one that skips the header.
  if (location.hash && !location.hash.startsWith("#/")) return;
  const isFirst = view === null;
  if (view && view.leave) view.leave();
  view = makeView();
  const path = "#" + (location.hash.replace(/^#/, "").split("?")[0] || "/");
  document.querySelectorAll("nav a").forEach((link) => {
    if (link.getAttribute("href") === path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  if (state.status) {
    $("main").replaceChildren(view.element);
    draw();
    if (!isFirst) {
      scrollTo(0, 0);
      view.element.querySelector("h1").focus({ preventScroll: true });
    }
  }
  due.feed = 0;
  turn();
}

function draw() {
  showLink();
  if (!state.status) return;
  const open = state.status.conditions.filter(needsPeople).length;
  const server = state.status.server.name;
  document.title = (state.failure ? "(?) " : open > 0 ? `(${open}) ` : "") + view.title + " · " + server;
  document.querySelector("link[rel=icon]").href = open > 0 ? "icon-open.svg" : "icon.svg";
  say($("server"), server);
  if (view.element.parentNode !== $("main")) $("main").replaceChildren(view.element);
  view.update();
  const text = verdict(open);
  if (lastVerdict !== null && lastVerdict !== text) say($("news"), text);
  lastVerdict = text;
}

// Whether what is shown is what is: said in words, and the page turns grey if not.
function showLink() {
  const { failure } = state;
  document.body.classList.toggle("lost", failure !== null);
  const banner = $("failure");
  banner.hidden = failure === null;
  if (failure === null) {
    banner.replaceChildren();
    say($("link"), state.status ? "live" : "");
    return;
  }
  const since = clock(failure.since / 1000);
  say($("link"), "not live");
  if (!banner.firstChild) banner.append(h("strong", {}), " ", h("span", {}), " ", h("button", { type: "button", onclick: retry }, "Try now"));
  say(banner.children[0], `No connection since ${since}: ${failure.text}.`);
  say(banner.children[1], state.status ? "What you see is as it was then." : "");
  const loading = $("loading");
  if (loading) say(loading, "Nothing to show yet.");
}

function retry() {
  Object.assign(due, { feed: 0, status: 0, session: 0 });
  turn();
}

// One question after the other: whatever is due.
async function turn() {
  if (isAsking || document.hidden) return;
  isAsking = true;
  const size = state.status ? Math.max(1, state.status.hosts.length / 1000) : 1;
  try {
    let isNew = false;
    if (performance.now() >= due.session) {
      await refreshSession();
      due.session = performance.now() + 600000;
    }
    if (performance.now() >= due.status) {
      asked = performance.now();
      await refreshStatus();
      due.status = asked + STATUS_MS * size;
      isNew = true;
    }
    const feed = view.feed;
    if (feed && performance.now() >= due.feed) {
      due.feed = performance.now() + FEED_MS;
      const isFirst = !feed.loaded;
      const events = await feed.poll();
      const matters = (event) => event.state || event.kind === "system" || event.tags === "SYSTEM";
      if (events.some(matters)) due.status = Math.min(due.status, asked + STATUS_SOON_MS * size);
      isNew = isNew || isFirst || events.length > 0;
    }
    if (isNew || document.body.classList.contains("lost")) draw();
  } catch (error) {
    const wait = performance.now() + Math.min(MOST_RETRY_MS, 1000 * 2 ** Math.min(state.tries, 6));
    Object.assign(due, { feed: wait, status: wait, session: Math.max(due.session, wait) });
    if (!state.failure) console.error(error);
    draw();
  }
  isAsking = false;
}

addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) retry();
});
document.addEventListener("feed-due", () => {
  due.feed = 0;
  turn();
});
document.addEventListener("status-due", () => {
  due.status = 0;
  turn();
});
setInterval(turn, 500);
// Times such as "12 s ago" go on while nothing comes.
setInterval(() => {
  if (!document.hidden && state.status && !state.failure) draw();
}, 5000);
route();
