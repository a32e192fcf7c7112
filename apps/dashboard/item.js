// One item of a history: as chat, as part of a request and its response, or as it is stored.

import { button, h, stamp } from "./dom.js";
import { brief, textView, valueView } from "./value.js";

/** @typedef {Record<string, any> & { seq: number; at: string }} Item */
/** @typedef {{ seq: number; steps: string[]; open: boolean; toggle: () => void }} Turn  the steps between a request and its response */

// What is shown as itself; the other fields stand folded below.
const ofChat = new Set(["seq", "at", "role", "content", "tool_calls", "tool_call_id", "name"]);
const ofLog = new Set(["seq", "at", "user_request", "agent", "response", "escalations", "duration_ms"]);

/** The text of what people and models write: a string, or the text parts of a list. @param {unknown} content */
export function textOf(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return null;
  const parts = content.filter((part) => part?.type === "text" && typeof part.text === "string");
  return parts.length === content.length && parts.length ? parts.map((part) => part.text).join("\n") : null;
}

/** @param {unknown} content */
function contentView(content) {
  if (content === null || content === undefined || content === "") return null;
  const text = textOf(content);
  return text === null ? valueView(content, 2) : textView(text);
}

/** Arguments come as JSON in a string, which may be broken. @param {unknown} given */
function parsed(given) {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

/** The tool calls of an item. @param {Item} item @returns {{ name: string; given: unknown }[]} */
export function callsOf(item) {
  const calls = Array.isArray(item.tool_calls) ? item.tool_calls : [];
  return calls.map((call) => ({ name: String(call?.function?.name ?? call?.name ?? "call"), given: call?.function?.arguments ?? call?.arguments }));
}

/** @param {{ name: string; given: unknown }} call */
const callView = (call) =>
  h("details.call",
    h("summary", h("span.call-mark", "calls"), h("strong", call.name), h("span.call-brief", brief(call.given, 90))),
    valueView(parsed(call.given), 2));

/** @param {Item} item */
function resultView(item) {
  const name = typeof item.name === "string" ? item.name : "tool";
  return h("details.call.result",
    h("summary", h("span.call-mark", "result of"), h("strong", name), h("span.call-brief", brief(item.content, 90))),
    contentView(item.content),
  );
}

/** @param {Item} item */
const isLog = (item) => typeof item.user_request === "string";
/** @param {Item} item */
const roleOf = (item) => (isLog(item) ? "exchange" : typeof item.role === "string" ? item.role : "item");

/** @param {Item} item @param {string} className @param {string} who @param {(Node | null)[]} body */
const articleOf = (item, className, who, body) =>
  h("article", { class: `item ${className}`, id: `item-${item.seq}`, "aria-label": `${who}, item ${item.seq}` },
    h("header.item-head", h("span.who", who), h("span.seq", `#${item.seq}`), stamp(item.at)), body);

/** @param {Item} item */
function others(item) {
  const rest = Object.entries(item).filter(([name]) => !(isLog(item) ? ofLog : ofChat).has(name));
  if (rest.length === 0) return null;
  return h("details.more", h("summary", rest.map(([name]) => name).join(", ")), valueView(Object.fromEntries(rest), 2));
}

/** @param {Item} item */
const partsView = (item) => [contentView(item.content), ...callsOf(item).map(callView)];

/** An item of a request/response log: what was asked, who answered, in what time. @param {Item} item */
function logView(item) {
  const handed = Array.isArray(item.escalations) ? item.escalations : [];
  return [
    h("div.request", textView(item.user_request)),
    h("p.quiet", `answered by ${item.agent}${item.duration_ms === undefined ? "" : ` in ${item.duration_ms} ms`}`),
    contentView(item.response),
    ...handed.map((one) => h("p.quiet", `escalated from ${one?.source_agent} to ${one?.target_agent}: ${one?.reason}`)),
  ];
}
/** @param {Item} item */
export function chatView(item) {
  const role = roleOf(item);
  const known = ["user", "assistant", "system", "tool"].includes(role) ? role : "other";
  const body = isLog(item) ? logView(item) : role === "tool" || typeof item.tool_call_id === "string" ? [resultView(item)] : partsView(item);
  return articleOf(item, `item-${known}`, role, [...body, others(item)]);
}

/** The item as it is stored. @param {Item} item */
export function storedView(item) {
  const { seq: _seq, at: _at, ...fields } = item;
  return articleOf(item, "item-stored", roleOf(item), [valueView(fields, 3)]);
}

/** A request, its folded steps behind it, or the response. @param {Item} item @param {Turn | null} turn */
export function exchangeView(item, turn) {
  if (isLog(item)) return chatView(item);
  const request = item.role === "user";
  const steps = turn && turn.steps.length > 0
    ? button(`${turn.open ? "▾" : "▸"} ${turn.steps.length} steps: ${brief([...new Set(turn.steps)].join(", "), 80)}`, turn.toggle, { class: "steps", "aria-expanded": String(turn.open) })
    : null;
  return articleOf(item, request ? "request" : "response", request ? "Request" : "Response", [...partsView(item), others(item), steps]);
}

/** Between a request and its response: calls, results, what the system says. @param {Item} item */
export function isStep(item) {
  if (item.role === "user" || isLog(item)) return false;
  return item.role !== "assistant" || callsOf(item).length > 0;
}
