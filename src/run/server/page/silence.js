// The dialog that silences a host, and what ends a silence.

import { ask, refreshStatus, state } from "./api.js";
import { field, h, say } from "./dom.js";

const DURATIONS = [["1 hour", 3600], ["4 hours", 14400], ["12 hours", 43200], ["1 day", 86400], ["7 days", 604800]];

// A button that opens the dialog. Nothing, unless the server lets this page silence.
export function silenceButton(host, tags) {
  if (!state.canSilence) return null;
  const what = tags ? `${tags} of ${host}` : host;
  return h("button", { type: "button", "aria-label": "Silence " + what, onclick: () => open(host, tags) }, "Silence…");
}

function open(host, tags) {
  const only = h("input", { type: "checkbox", checked: true });
  const long = h("select", {}, ...DURATIONS.map(([name, seconds]) => h("option", { value: seconds, selected: seconds === 14400 }, name)));
  const reason = h("input", { maxlength: 200, autocomplete: "off" });
  const fault = h("p", { class: "fault", role: "alert" });
  const close = () => dialog.close();
  const send = async (event) => {
    event.preventDefault();
    const chosen = tags && only.checked ? { tags } : {};
    try {
      await ask("api/silence", { host, ...chosen, seconds: Number(long.value), reason: reason.value });
      close();
      document.dispatchEvent(new Event("status-due"));
    } catch (error) {
      say(fault, "Not silenced: " + error.message);
    }
  };
  const dialog = h("dialog", { "aria-labelledby": "silence-title", onclose: () => dialog.remove() },
    h("form", { onsubmit: send },
      h("h2", { id: "silence-title" }, "Silence ", h("bdi", {}, host)),
      h("p", {}, "What is silenced stays on this page and in the stream, and goes to no output."),
      tags && h("label", { class: "check" }, only, h("span", {}, "only events with the tags ", h("bdi", {}, tags))),
      field("For", long), field("Reason", reason), fault,
      h("p", { class: "buttons" }, h("button", { type: "submit" }, "Silence"), h("button", { type: "button", onclick: close }, "Cancel"))));
  document.body.append(dialog);
  dialog.showModal();
}

// A button that ends a silence.
export function endButton(silence) {
  if (!state.canSilence) return null;
  const what = silence.host + (silence.tags ? "/" + silence.tags : "");
  const end = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await ask("api/silence", { host: silence.host, ...(silence.tags ? { tags: silence.tags } : {}), end: true });
      await refreshStatus();
      document.dispatchEvent(new Event("status-due"));
    } catch (error) {
      button.disabled = false;
      say(button, "Not ended: " + error.message);
    }
  };
  return h("button", { type: "button", "aria-label": "End the silence of " + what, onclick: end }, "End");
}
