// Questions that wait for an answer: a <dialog>, which keeps the focus and closes with Escape.

import { append, button, h } from "./dom.js";

/**
 * Options are values and texts to choose one of; with `mustBe` the answer is taken only when just that was typed.
 * @typedef {{ name: string; label: string; hint?: string; value?: string; required?: boolean; options?: [string, string][]; mustBe?: string }} Field
 */
/** @typedef {{ title: string; text?: (Node | string)[]; fields?: Field[]; action: string; danger?: boolean }} Question */

/** What was given, by the names of the fields; null when it was left. @param {Question} what @returns {Promise<Record<string, string> | null>} */
export function ask(what) {
  const fields = what.fields ?? [];
  const inputs = fields.map((field) =>
    field.options
      ? h("select", { name: field.name }, field.options.map(([value, text]) => h("option", { value, selected: value === field.value }, text)))
      : h("input", { name: field.name, value: field.value ?? "", placeholder: field.hint ?? "", required: field.required ?? field.mustBe !== undefined, autocomplete: "off", spellcheck: "false" }),
  );
  const go = h("button", { class: what.danger ? "danger" : "primary", value: "go" }, what.action);
  const check = () => {
    go.disabled = fields.some((field, i) => field.mustBe !== undefined && inputs[i].value !== field.mustBe);
  };
  const form = h("form", { method: "dialog", oninput: check }, h("h2", { id: "dialog-title" }, what.title));
  append(form, (what.text ?? []).map((part) => h("p", part)));
  append(form, fields.map((field, i) => h("label", field.label, inputs[i])));
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  const leave = button("Cancel", () => dialog.close(""));
  form.append(h("div.row.end", leave, go));
  check();
  document.body.append(dialog);
  dialog.showModal();
  (inputs[0] ?? (what.danger ? leave : go)).focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "go" ? Object.fromEntries(fields.map((field, i) => [field.name, inputs[i].value])) : null);
    });
  });
}
