// Forks as a tree: from where a branch comes up to the first ancestor, and down to what was forked from it.

import { node, Problem } from "./api.js";
import { atMostEvery, button, card, excuse, fill, h } from "./dom.js";
import { hrefOf } from "./entity.js";

/** @import { Part } from "./entity.js" */

const most_ancestors = 50; // then: the tree begins at the last of them
const most_asked = 40; // branches whose forks are looked for at once; then: a button looks for more
const slow_ms = 150; // a look for forks that took longer: the others wait for a button

/** @typedef {{ id: string; at: number | null; revision: number | null; gone: boolean; forks: Branch[] | null }} Branch */

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
      out.unshift({ id: info.id, at: info.forked_from?.at ?? null, revision: info.revision, gone: false, forks: null });
      if (!info.forked_from) break;
      const { parent } = info.forked_from;
      try {
        info = await ask(parent, "");
      } catch (why) {
        if (!(why instanceof Problem) || why.status !== 404) throw why;
        out.unshift({ id: parent, at: null, revision: null, gone: true, forks: [] });
        break;
      }
    }
    return out;
  }
  /** @param {Branch} branch */
  async function findForks(branch) {
    /** @type {Branch[]} */
    const found = [];
    let cursor = "";
    do {
      const page = await ask(branch.id, `/forks?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      for (const one of page.items) found.push({ id: one.id, at: one.at, revision: one.revision, gone: false, forks: null });
      cursor = page.next_cursor ?? "";
    } while (cursor);
    const known = branch.forks ?? [];
    branch.forks = found.map((one) => known.find((other) => other.id === one.id) ?? one);
  }

  /** @type {Branch | null} */
  let root = null;
  function show() {
    /** @param {Branch} branch @returns {HTMLElement} */
    const view = (branch) => {
      const here = branch.id === entity.id;
      const name = branch.gone ? h("span.id.quiet", branch.id) : h("a.id", { href: `${hrefOf(entity.place, branch.id)}/versions`, "aria-current": here ? "true" : null }, branch.id);
      const facts = branch.gone ? " deleted" : `${branch.at === null ? "" : ` forked at ${branch.at},`} revision ${branch.revision}`;
      const look = branch.forks === null ? button("Look for forks", () => findForks(branch).then(show), { class: "quiet" }) : null;
      return h("li", h("div", { class: `branch${here ? " here" : ""}` }, name, h("span.quiet", facts), look), branch.forks?.length ? h("ul", branch.forks.map(view)) : null);
    };
    if (root) fill(body, h("ul", view(root)), root.forks?.length === 0 ? h("p.quiet", "No forks.") : null);
  }

  async function read() {
    const line = await lineage();
    // The own forks first; then what is found on the way, as long as that costs little: the node looks at every entity.
    const waiting = [line[line.length - 1]];
    for (let i = 0; i + 1 < line.length; ++i) line[i].forks = [line[i + 1]];
    root = line[0];
    show();
    for (const above of line.slice(0, -1).reverse()) if (!above.gone) waiting.push(above);
    for (let asked = 0; waiting.length && asked < most_asked; ++asked) {
      const branch = /** @type {Branch} */ (waiting.shift());
      const begin = performance.now();
      await findForks(branch);
      waiting.push(...(branch.forks ?? []).filter((one) => one.forks === null));
      show();
      if (performance.now() - begin > slow_ms) break;
    }
  }
  const again = () => read().catch(excuse(body, entity.signal));
  again();
  node.follow(`/v1/events?scopes=${entity.kind}&events=forked,deleted`, { changes: atMostEvery(1000, again), gap: () => {} }, entity.signal);
  return (events) => void ((events.length === 0 || events.includes("merged")) && again());
};
