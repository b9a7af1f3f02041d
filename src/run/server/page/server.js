// The server itself: its outputs, its silences, and what it refused.

import { now, state } from "./api.js";
import { h, icon, keyed, say, section, span } from "./dom.js";
import { showSilences } from "./parts.js";

export class ServerView {
  constructor() {
    this.title = "Server";
    this.about = h("p", {});
    this.outputs = h("ul", { class: "rows", "aria-label": "Outputs" });
    this.noOutputs = h("p", { class: "empty" });
    this.silences = h("ul", { class: "rows", "aria-label": "Silences" });
    this.noSilences = h("p", { class: "empty" });
    this.refused = h("p", {});
    this.element = h("div", {}, h("h1", { tabindex: -1 }, "Server"), section("about", "Program", this.about),
      section("outputs", "Outputs", this.outputs, this.noOutputs), section("silences", "Silences", this.silences, this.noSilences),
      section("refused", "Refused datagrams", this.refused));
  }

  update() {
    const { server, outputs, silences, refused } = state.status;
    say(this.about, `ax436 ${server.version} on ${server.name}, up ${span(now() - server.started_unix)}.`);
    const row = (output) => h("li", {}, h("span", { class: "shape" }, icon(output.failure ? "opened" : "alive")),
      h("p", { class: "what" }, h("bdi", {}, output.name)), h("p", { class: "meta" }, h("bdi", {})));
    keyed(this.outputs, outputs, (output) => Boolean(output.failure) + output.name, row, (node, output) => {
      const waiting = output.events_waiting > 0 && `${output.events_waiting} events wait, for ${span(output.seconds_waiting)}`;
      const behind = output.bytes_behind > 0 && `${output.bytes_behind} bytes behind`;
      node.className = output.failure ? "bad" : "good";
      say(node.querySelector(".meta bdi"), [output.failure && "failed: " + output.failure, waiting, behind].filter(Boolean).join(" · ") || "has delivered everything");
    });
    say(this.noOutputs, outputs.length > 0 ? "" : "No output: nobody is told but who looks here.");
    showSilences(this.silences, silences);
    say(this.noSilences, silences.length > 0 ? "" : "Nothing is silenced.");
    const counts = Object.entries(refused).filter(([, count]) => count > 0).map(([reason, count]) => `${count} ${reason.replace("_", " ")}`);
    say(this.refused, counts.length > 0 ? "Since the start: " + counts.join(", ") + "." : "None since the start.");
  }
}
