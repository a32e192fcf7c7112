// Any stored value as text that folds. Numbers stand as they are stored.

import { Exact } from "./api.js";
import { append, button, h } from "./dom.js";
import { bytes } from "./format.js";

const most_text = 2000; // characters; then: a button shows the rest
const most_members = 200; // of an object or list at a time; then: a button shows more

/** A text that is cut when it is long. @param {string} text @param {string} [className] */
export function textView(text, className = "text") {
  const out = h("div", { class: className, dir: "auto" }, text.slice(0, most_text));
  if (text.length <= most_text) return out;
  const more = button(`Show all, ${bytes(text.length)}`, () => ((out.textContent = text), more.remove()), { class: "quiet" });
  return h("div", out, more);
}

/** @param {unknown} value */
const isNode = (value) => typeof value === "object" && value !== null && !(value instanceof Exact);

/** @param {unknown} value */
function leaf(value) {
  if (typeof value === "string") return value.length > most_text ? textView(value, "v-string") : h("span.v-string", { dir: "auto" }, JSON.stringify(value));
  const kind = value === null ? "null" : value instanceof Exact ? "number" : typeof value;
  return h("span", { class: `v-${kind}` }, String(value));
}

/** @param {HTMLElement} to @param {[string, unknown][]} members @param {number} open */
function addMembers(to, members, open) {
  let at = 0;
  const more = h("button.quiet", { type: "button" });
  const add = () => {
    for (const [key, value] of members.slice(at, at + most_members)) {
      if (isNode(value)) to.append(valueView(value, open - 1, key));
      else append(to, [h("div.v-row", h("span.v-key", { dir: "auto" }, key), leaf(value))]);
    }
    at += most_members;
    more.remove();
    if (at >= members.length) return;
    more.textContent = `${(members.length - at).toLocaleString()} more`;
    to.append(more);
  };
  more.addEventListener("click", add);
  add();
}

/**
 * @param {unknown} value @param {number} [open]  levels that are unfolded @param {string} [key]
 * @returns {HTMLElement}
 */
export function valueView(value, open = 1, key) {
  if (!isNode(value)) return h("div.value", leaf(value));
  const members = /** @type {[string, unknown][]} */ (Object.entries(/** @type {object} */ (value)));
  const size = Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`;
  if (members.length === 0) return h("div.value.v-row", key === undefined ? null : h("span.v-key", key), h("span.v-null", Array.isArray(value) ? "[]" : "{}"));
  const body = h("div.v-members");
  const name = key === undefined ? null : h("span.v-key", { dir: "auto" }, key);
  const out = h("details.value", { open: open > 0 }, h("summary", name, h("span.v-size", size)), body);
  const unfold = () => {
    if (out.open && !body.hasChildNodes()) addMembers(body, members, open);
  };
  out.addEventListener("toggle", unfold);
  unfold();
  return out;
}

/** On one line, cut. @param {unknown} value @param {number} most */
export function brief(value, most) {
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, (_, v) => (v instanceof Exact ? String(v) : v));
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
