// What the page asks of the server, and how it stands with it.

export const state = {
  status: null,         // the last answer of api/status
  canSilence: false,
  failure: null,        // {text, since}: why the last question had no answer
  skew: 0,              // what the server's clock is ahead of this one's, in seconds
  tries: 0,
};

export class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const LIMIT_MS = 15000;

// The JSON at a path. Throws a Refusal, and keeps the failure where the page shows it.
export async function ask(path, body) {
  const stop = new AbortController();
  const limit = setTimeout(() => stop.abort(), LIMIT_MS);
  try {
    const post = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(path, { cache: "no-store", signal: stop.signal, ...post });
    const text = await answer.text();
    if (!answer.ok) throw new Refusal(answer.status, text.trim().slice(0, 300) || "status " + answer.status);
    state.failure = null;
    state.tries = 0;
    try {
      return text ? JSON.parse(text) : {};
    } catch {
      throw new Refusal(200, "the answer is not what this page knows: reload it");
    }
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(0, "the server does not answer");
    if (!body) fail(refusal);
    throw refusal;
  } finally {
    clearTimeout(limit);
  }
}

function fail(refusal) {
  const text = refusal.status === 401 || refusal.status === 403 ? "the server wants a password: reload this page" : refusal.message;
  state.failure = { text, since: state.failure ? state.failure.since : Date.now() };
  state.tries += 1;
}

// The time of the server, in seconds since 1970.
export const now = () => Date.now() / 1000 + state.skew;

export async function refreshStatus() {
  const status = await ask("api/status");
  state.skew = status.server.now_unix - Date.now() / 1000;
  state.status = status;
}

export async function refreshSession() {
  state.canSilence = (await ask("api/session")).can_silence === true;
}

export const host = (name) => state.status && state.status.hosts.find((host) => host.name === name);

// What needs people: open, and neither silenced nor explained by another host.
export const needsPeople = (condition) => !condition.silenced && !condition.held_back;

// How a host stands: a shape, a rank and words.
export function standing(host, conditions) {
  const behind = conditions.some((condition) => condition.held_back);
  const waiting = conditions.filter(needsPeople).length;
  let shape = { alive: "alive", silent: "silent", stopped: "stopped", "never seen": "never" }[host.state] || "unknown";
  if (shape === "alive" && waiting > 0) shape = "opened";
  let rank = { alive: 4, silent: 0, stopped: 1, "never seen": 3 }[host.state] ?? 2;
  if (host.state === "silent" && (behind || host.silenced)) rank = 1;
  if (waiting > 0) rank = 0;
  else if (conditions.length > 0 || host.configuration === "late" || host.key === "missing") rank = Math.min(rank, 1);
  const words = host.state + (behind && host.parent ? " behind " + host.parent : "");
  return { shape, rank, words, waiting, level: ["bad", "warn", "off", "off", "good"][rank] };
}

// The events that match a query, newest last, and what came since.
export class Feed {
  static LIMIT = 200;
  // Most events that the server gives at once, and that are kept.
  static MOST = 1000;

  constructor(query) {
    this.query = query;
    this.events = [];
    this.next = null;
    this.loaded = false;
    this.skipped = false;
    this.hasOlder = false;
    this.limit = Feed.LIMIT;
  }

  // Whether something came.
  async poll() {
    const query = new URLSearchParams(Object.entries(this.query).filter(([, value]) => value));
    query.set("limit", this.next === null ? this.limit : Feed.MOST);
    if (this.next !== null) query.set("after", this.next);
    let answer;
    try {
      answer = await ask("api/events?" + query);
    } catch (error) {
      // The server may not know the place any more: the next poll begins anew.
      if (error.status >= 400 && error.status < 500) this.next = null;
      throw error;
    }
    const isFirst = this.next === null;
    this.next = answer.next;
    this.loaded = true;
    if (isFirst) this.hasOlder = answer.more;
    if (isFirst || answer.gap) this.events = answer.events;
    else this.events = this.events.concat(answer.events).slice(-Feed.MOST);
    // More came than can be read: go on with the newest.
    if (!isFirst && answer.more) {
      this.next = null;
      this.skipped = true;
    }
    return answer.events;
  }
}
