// What can be done with an entity. It is asked about first, and what replaces or removes content depends on the revision
// that was on the screen: somebody else's change meanwhile is never undone by mistake.

import { node, Problem } from "./api.js";
import { ask } from "./dialog.js";
import { button, fill, h, notify } from "./dom.js";
import { plural } from "./format.js";
import { valueView } from "./value.js";

/** @import { Entity } from "./entity.js" */

/** Tells why a change was not made, or that nobody knows whether it was. */
function tellWhy(why) {
  if (!(why instanceof Problem)) throw why;
  if (why.status === 401) return;
  const unknown = why.status === 0 || why.code === "outcome_unknown";
  const stale = why.code === "revision_conflict" ? ` It was changed meanwhile and is at revision ${why.currentRevision} now: look again.` : "";
  notify(unknown ? `It may have been changed, or not: ${why.message}. Look before you repeat it.` : `Nothing was changed: ${why.message}.${stale}`, "bad");
}

/** Runs a change and tells how it went. @template T @param {string} done @param {() => Promise<T>} run @returns {Promise<T | null>} */
export async function attempt(done, run) {
  try {
    const out = await run();
    notify(done);
    return out;
  } catch (why) {
    tellWhy(why);
    return null;
  }
}

/** @param {Entity} entity @param {"undo" | "redo"} which */
async function step(entity, which) {
  const { revision } = entity.info;
  const [name, done, text] = which === "undo"
    ? ["Undo", "Undone", "Content goes back to what it was. That is a new revision: nothing is destroyed, and redo brings it back."]
    : ["Redo", "Redone", "Brings back what was undone, as a new revision."];
  const given = await ask({ title: name, text: [text], fields: [{ name: "steps", label: "Steps", value: "1", required: true }], action: name });
  if (!given) return;
  const steps = Number(given.steps);
  if (!Number.isInteger(steps) || steps < 1) return notify("Steps are a whole number above 0.", "bad");
  await attempt(`${done}: ${plural(steps, "step")}.`, () => node.change("POST", `${entity.base}/${which}`, { steps }, revision));
}

/** @param {Entity} entity @param {string | number} [at]  a revision or the id of a checkpoint; absent: the newest */
export async function fork(entity, at) {
  const given = await ask({
    title: `Fork ${entity.id}`,
    text: [at === undefined ? `A branch of its own from revision ${entity.info.revision}; the original stays as it is.` : "A branch of its own from there; the original stays as it is."],
    fields: [
      { name: "id", label: "Id of the fork", hint: "made by the node when empty" },
      ...(at === undefined ? [{ name: "at", label: "Revision", hint: `the newest (${entity.info.revision}) when empty` }] : []),
    ],
    action: "Fork",
  });
  if (!given) return;
  const from = at ?? (given.at ? Number(given.at) : undefined);
  if (Number.isNaN(from)) return notify("A revision is a whole number.", "bad");
  const body = { ...(given.id ? { id: given.id } : {}), ...(from === undefined ? {} : { at: from }) };
  const made = await attempt("Forked.", () => node.change("POST", `${entity.base}/fork`, body));
  if (made) location.hash = `#/${entity.place}/${encodeURIComponent(made.id)}`;
}

/** @param {Entity} entity */
async function merge(entity) {
  const { revision } = entity.info;
  const forks = (await entity.get("/forks?limit=1000").catch(() => ({ items: [] }))).items;
  if (forks.length === 0) return notify("It has no forks to bring back.", "bad");
  const given = await ask({
    title: "Merge a fork back",
    text: [`What was changed in the fork since it branched comes into ${entity.id}. Where both changed the same, nothing is merged unless one of them wins.`],
    fields: [
      { name: "from", label: "Fork", options: forks.map((one) => [one.id, `${one.id} (at ${one.at}, now ${one.revision})`]) },
      { name: "strategy", label: "Conflicts", options: [["refuse", "list them, merge nothing"], ["ours", "keep what is here"], ["theirs", "take the fork's"]] },
    ],
    action: "Merge",
  });
  if (!given) return;
  try {
    await node.change("POST", `${entity.base}/merge`, { from: given.from, strategy: given.strategy }, revision);
    notify(`Merged ${given.from}.`);
  } catch (why) {
    if (why instanceof Problem && why.code === "merge_conflict") await ask({ title: "Conflicts: nothing was merged", text: [why.message, valueView(why.details, 4)], action: "Close" });
    else tellWhy(why);
  }
}

/** @param {Entity} entity */
async function checkpoint(entity) {
  const given = await ask({ title: `Pin revision ${entity.info.revision}`, fields: [{ name: "name", label: "Name", hint: "before the refactoring" }], action: "Make checkpoint" });
  if (given) await attempt("Pinned.", () => node.change("POST", `${entity.base}/checkpoints`, { name: given.name }, entity.info.revision));
}

/** @param {Entity} entity */
async function exportFile(entity) {
  const given = await ask({
    title: `Export ${entity.id}`,
    fields: [{ name: "format", label: "Format", options: [["jsonl", "JSON Lines, without loss"], ["msgpack", "MessagePack, without loss"], ["markdown", "Markdown, for people"]] }],
    action: "Export",
  });
  if (!given) return;
  await attempt("Exported.", async () => {
    const answer = await node.send("GET", `${entity.base}/export?format=${given.format}`);
    const address = URL.createObjectURL(await answer.blob());
    const ending = given.format === "markdown" ? "md" : given.format;
    h("a", { href: address, download: `${entity.id.replaceAll(/[^\w.-]/g, "_")}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
}

/** @param {Entity} entity */
async function remove(entity) {
  const { revision } = entity.info;
  const given = await ask({
    title: `Delete ${entity.kind} ${entity.id}?`,
    text: ["Its content and checkpoints are gone for everybody. Forks of it stay."],
    fields: [{ name: "id", label: `Type ${entity.id} to confirm`, mustBe: entity.id }],
    action: "Delete",
    danger: true,
  });
  if (!given) return;
  const done = await attempt(`Deleted ${entity.id}.`, () => node.change("DELETE", entity.base, undefined, revision));
  if (done) location.hash = entity.place === "global" ? "#/" : `#/${entity.place}`;
}

/** @param {Entity} entity @param {HTMLElement} bar */
export function actionBar(entity, bar) {
  fill(
    bar,
    button("Undo…", () => step(entity, "undo")),
    button("Redo…", () => step(entity, "redo")),
    button("Checkpoint…", () => checkpoint(entity)),
    entity.kind === "global" ? null : button("Fork…", () => fork(entity)),
    entity.kind === "session" ? button("Merge…", () => merge(entity)) : null,
    button("Export…", () => exportFile(entity)),
    button("Delete…", () => remove(entity), { class: "danger" }),
  );
}
