// Checkpoints, and what differs between two revisions.

import { node } from "./api.js";
import { attempt, fork } from "./actions.js";
import { ask } from "./dialog.js";
import { button, card, excuse, fill, h } from "./dom.js";
import { moment, ago, plural } from "./format.js";
import { valueView } from "./value.js";

/** @import { Entity, Part } from "./entity.js" */

const most_changes = 300; // of a difference; then: a line tells how many are left out

/** @param {Entity} entity @param {any} one */
async function restore(entity, one) {
  const { revision } = entity.info;
  const sure = await ask({ title: `Restore ${one.name || one.id}?`, text: [`Content becomes that of revision ${one.revision}. That is a new revision; undo brings back what is there now.`], action: "Restore", danger: true });
  if (sure) await attempt("Restored.", () => node.change("POST", `${entity.base}/checkpoints/${encodeURIComponent(one.id)}/restore`, undefined, revision));
}
/** @param {Entity} entity @param {any} one */
async function unpin(entity, one) {
  const sure = await ask({ title: `Delete the checkpoint ${one.name || one.id}?`, text: [`Revision ${one.revision} may then be forgotten like any other.`], action: "Delete", danger: true });
  if (sure) await attempt("Unpinned.", () => node.change("DELETE", `${entity.base}/checkpoints/${encodeURIComponent(one.id)}`));
}

/** @type {Part} */
export const showCheckpoints = (entity, to) => {
  const body = h("div");
  to.append(card("Checkpoints", body));
  const row = (one) => {
    const name = one.name || one.id;
    return h("li.checkpoint",
      h("div.grow", h("strong", name), h("span.quiet", ` revision ${one.revision}, `), h("time", { datetime: one.at, title: moment(one.at) }, ago(one.at)), one.automatic ? h("span.tag", "automatic") : null, one.tags.map((tag) => h("span.tag", tag))),
      h("div.row",
        button("Restore…", () => restore(entity, one), { "aria-label": `Restore ${name}` }),
        button("Fork…", () => fork(entity, one.id), { "aria-label": `Fork at ${name}` }),
        button("Delete…", () => unpin(entity, one), { class: "quiet", "aria-label": `Delete ${name}` })));
  };
  const read = () => entity.get("/checkpoints").then(
    (got) => fill(body, got.items.length ? h("ul.plain", got.items.map(row)) : h("p.quiet", "No checkpoints. Pin a revision and it is never forgotten.")),
    excuse(body, entity.signal),
  );
  read();
  return (events) => void ((events.length === 0 || events.some((name) => name.startsWith("checkpoints_"))) && read());
};

function changeView(change) {
  const side = (name, value, there) =>
    h("div", { class: `side ${name}` }, h("span.side-mark", name === "before" ? "−" : "+", h("span.chart-hidden", ` ${name}`)), there ? valueView(value, 2) : h("span.quiet", "absent"));
  return h("li.difference", h("code", change.path || "/"), h("div.sides", side("before", change.before, "before" in change), side("after", change.after, "after" in change)));
}

/** @type {Part} */
export const showDiff = (entity, to) => {
  const { revision } = entity.info;
  const from = h("input", { type: "number", min: "1", value: String(Math.max(1, revision - 1)), required: true });
  const until = h("input", { type: "number", min: "1", value: String(revision), required: true });
  const body = h("div", { "aria-live": "polite" });
  const show = async () => {
    try {
      const got = await entity.get(`/diff?from=${Number(from.value)}&to=${Number(until.value)}`);
      const left = got.changes.length - most_changes;
      fill(body, got.changes.length ? h("ul.plain", got.changes.slice(0, most_changes).map(changeView)) : h("p.quiet", "No difference in content."), left > 0 ? h("p.quiet", `and ${plural(left, "more change")}`) : null);
    } catch (why) {
      excuse(body, entity.signal)(/** @type {Error} */ (why));
    }
  };
  to.append(card("Difference",
    h("form.row.tools", { onsubmit: (event) => (event.preventDefault(), show()) }, h("label.inline", "from revision", from), h("label.inline", "to", until), h("button", "Compare")), body));
  if (revision > 1) show();
  let followed = revision;
  return () => {
    if (Number(until.value) !== followed) return; // somebody looks at earlier ones
    followed = entity.info.revision;
    until.value = String(followed);
    from.value = String(Math.max(1, followed - 1));
    show();
  };
};
