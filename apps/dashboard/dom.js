// Elements from plain calls. What comes from the node is only ever set as text: nothing here takes markup.

import { moment, clock } from "./format.js";

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Props */

/**
 * `h("button.quiet.wide", { onclick: go }, "Go")`: a tag with classes, attributes where there are any, children. A
 * member `on...` is a listener; true and false set and leave out an attribute.
 * @template {string} T
 * @param {T} tag @param {...(Props | Child | Child[])} given
 * @returns {T extends `${infer N extends keyof HTMLElementTagNameMap}.${string}` ? HTMLElementTagNameMap[N] : T extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[T] : HTMLElement}
 */
export function h(tag, ...given) {
  const [name, ...classes] = tag.split(".");
  const out = /** @type {any} */ (document.createElement(name));
  if (classes.length) out.className = classes.join(" ");
  const props = given[0]?.constructor === Object ? /** @type {Props} */ (given.shift()) : {};
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") out.addEventListener(key.slice(2), value);
    else if (key === "value") out.value = value;
    else if (value !== false && value !== null && value !== undefined) out.setAttribute(key, value === true ? "" : String(value));
  }
  append(out, /** @type {(Child | Child[])[]} */ (given));
  return out;
}

/** The time of day, exact under the pointer. @param {string} at  RFC 3339 */
export const stamp = (at) => h("time", { datetime: at, title: moment(at) }, clock(at));

/** @param {Element} to @param {(Child | Child[])[]} children */
export function append(to, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    to.append(child instanceof Node ? child : String(child));
  }
}

/** Puts other children into an element. @param {Element} to @param {...(Child | Child[])} children */
export function fill(to, ...children) {
  to.replaceChildren();
  append(to, children);
  return to;
}

/** @param {string} text @param {((event: any) => void) | null} onclick @param {Props} [more] */
export const button = (text, onclick, more) => h("button", { type: "button", onclick, ...more }, text);

/** A part of the page under a heading of its own. @param {string} title @param {...(Child | Child[])} children */
export const card = (title, ...children) => h("section.card", { "aria-label": title }, h("h2", title), ...children);

/** What scrolls, so that the keyboard reaches it, too. @param {string} className @param {string} label @param {...Child} children */
export const scrolling = (className, label, ...children) => h("div", { class: className, tabindex: "0", role: "region", "aria-label": label }, children);

/** A table; the first cell of a row names it. @param {string} label @param {string[]} heads @param {(Child | Child[])[][]} rows */
export function table(label, heads, rows) {
  const body = rows.map(([first, ...cells]) => h("tr", h("th", { scope: "row" }, first), cells.map((cell) => h("td", cell))));
  return scrolling("scroll-x", `${label}: table`, h("table", h("thead", h("tr", heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", body)));
}

/** Names and what they stand for. @param {string} className @param {[string, Child][]} rows */
export const facts = (className, rows) => h("dl", { class: className }, rows.map(([name, value]) => h("div", h("dt", name), h("dd", value))));

/** Says in place of a part why it cannot be shown. @param {HTMLElement} to @param {AbortSignal} signal  of the view */
export const excuse = (to, signal) => (why) => void (signal.aborted || fill(to, h("p", { role: "alert" }, why.message)));

/** A message that goes by itself, read aloud by screen readers. @param {string} text @param {"good" | "bad"} [kind] */
export function notify(text, kind = "good") {
  const place = document.getElementById("notices");
  if (!place) return;
  const note = h("div", { class: `notice ${kind}` }, h("span", text));
  note.append(button("×", () => note.remove(), { class: "quiet", "aria-label": "Dismiss" }));
  place.append(note);
  while (place.childElementCount > 4) place.firstElementChild?.remove();
  setTimeout(() => note.remove(), kind === "bad" ? 12000 : 5000);
}

/**
 * Calls `run` at once or, when it ran less than `ms` ago, when that time is over; calls meanwhile become one.
 * @param {number} ms @param {() => void} run
 */
export function atMostEvery(ms, run) {
  let last = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    if (timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      last = performance.now();
      run();
    }, Math.max(0, last + ms - performance.now()));
  };
}
