// Forks as a tree: from where a branch comes up to the first ancestor, and down to what was forked from it.

import { node, Problem } from "./api.js";
import { button, card, excuse, fill, h } from "./dom.js";
import { hrefOf } from "./entity.js";

/** @import { Part } from "./entity.js" */

const most_ancestors = 50; // then: the tree begins at the last of them
const most_asked = 40; // branches whose forks are looked for at once; then: a button looks for more
const most_told = 50; // forks that are told of at once; then: the tree is read anew

/**
 * `next` is where a look for forks goes on; undefined: none was made, null: all are here.
 * @typedef {{ id: string; at: number | null; revision: number | null; gone: boolean; forks: Branch[]; next: string | null | undefined }} Branch
 */

/** @type {Part} */
export const showBranches = (entity, to) => {
  const body = h("div.tree");
  to.append(card("Branches", body));
  const ask = (id, path) => node.get(`/v1/${entity.place}/${encodeURIComponent(id)}${path}`, entity.signal);

  /** From the first ancestor down to the entity. @returns {Promise<Branch[]>} */
  async function lineage() {
    /** @type {Branch[]} */
    const out = [];
    let { info } = entity;
    for (let i = 0; i <= most_ancestors; ++i) {
      out.unshift({ id: info.id, at: info.forked_from?.at ?? null, revision: info.revision, gone: false, forks: [], next: undefined });
      if (!info.forked_from) break;
      const { parent } = info.forked_from;
      try {
        info = await ask(parent, "");
      } catch (why) {
        if (!(why instanceof Problem) || why.status !== 404) throw why;
        out.unshift({ id: parent, at: null, revision: null, gone: true, forks: [], next: null });
        break;
      }
    }
    return out;
  }
  /** One page: a node looks at its entities for it, so never at all of them unasked. @param {Branch} branch */
  async function findForks(branch) {
    const page = await ask(branch.id, `/forks?limit=1000${branch.next ? `&cursor=${encodeURIComponent(branch.next)}` : ""}`);
    for (const one of page.items) add(branch, one);
    branch.next = page.next_cursor;
  }
  /** @param {Branch} parent @param {{ id: string; at: number; revision: number }} fork */
  function add(parent, { id, at, revision }) {
    if (!parent.forks.some((one) => one.id === id)) parent.forks.push({ id, at, revision, gone: false, forks: [], next: undefined });
  }
  /** @param {string} id @param {Branch | null} [from] @returns {Branch | undefined} */
  function find(id, from = root) {
    if (from === null || from.id === id) return from ?? undefined;
    for (const one of from.forks) {
      const found = find(id, one);
      if (found) return found;
    }
  }

  /** @type {Branch | null} */
  let root = null;
  function show() {
    /** @param {Branch} branch @returns {HTMLElement} */
    const view = (branch) => {
      const here = branch.id === entity.id;
      const name = branch.gone ? h("span.id.quiet", branch.id) : h("a.id", { href: `${hrefOf(entity.place, branch.id)}/versions`, "aria-current": here ? "true" : null }, branch.id);
      const facts = branch.gone ? " deleted" : `${branch.at === null ? "" : ` forked at ${branch.at},`} revision ${branch.revision}`;
      const look = branch.next === null ? null : button(branch.next ? "Look further" : "Look for forks", () => findForks(branch).then(show), { class: "quiet" });
      return h("li", h("div", { class: `branch${here ? " here" : ""}` }, name, h("span.quiet", facts), look), branch.forks.length ? h("ul", branch.forks.map(view)) : null);
    };
    if (root) fill(body, h("ul", view(root)), root.forks.length === 0 && root.next === null ? h("p.quiet", "No forks.") : null);
  }

  async function read() {
    const line = await lineage();
    // The own forks first, then those of the others, as long as that costs little.
    const waiting = [line[line.length - 1]];
    for (let i = 0; i + 1 < line.length; ++i) line[i].forks = [line[i + 1]];
    root = line[0];
    show();
    for (const above of line.slice(0, -1).reverse()) if (!above.gone) waiting.push(above);
    for (let asked = 0; waiting.length && asked < most_asked; ++asked) {
      const branch = /** @type {Branch} */ (waiting.shift());
      await findForks(branch);
      waiting.push(...branch.forks.filter((one) => one.next === undefined && !waiting.includes(one) && !line.includes(one)));
      show();
      if (branch.next !== null) break; // there are many: the others wait for a button
    }
  }
  const again = () => read().catch(excuse(body, entity.signal));
  again();
  /** Forks and deletions that are told of change the tree without another look. @param {import("./api.js").Message[]} messages */
  async function told(messages) {
    if (messages.length > most_told) return again();
    for (const { data } of messages) {
      const { id, events } = JSON.parse(data);
      const branch = find(id);
      if (branch && events.includes("deleted")) branch.gone = true;
      if (!events.includes("forked")) continue;
      const info = await ask(id, "").catch(() => null);
      const parent = info?.forked_from && find(info.forked_from.parent);
      if (parent) add(parent, { id, at: info.forked_from.at, revision: info.revision });
    }
    show();
  }
  node.follow(`/v1/events?scopes=${entity.kind}&events=forked,deleted`, { changes: told, gap: () => {} }, entity.signal);
  return (events) => void ((events.length === 0 || events.includes("merged")) && again());
};
