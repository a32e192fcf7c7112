// For everybody: keyboard, screen readers, light and dark, narrow and wide.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { openPage, startBrowser, startNode } from "./support.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let node, browser;
before(async () => {
  node = await startNode();
  browser = await startBrowser();
  const session = "/v1/sessions/agent";
  await node.ask("PUT", session, { user: "ann", tags: ["demo"], metadata: { channel: "web", list: [1, 2] }, team: "t", workflow: "w", policy: { token_budget: 100, loop_limit: 1 } });
  await node.ask("POST", `${session}/items`, {
    items: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Two tickets to Lyon." },
      { role: "assistant", content: "Looking.", tool_calls: [{ id: "c1", type: "function", function: { name: "search", arguments: '{"to":"Lyon"}' } }] },
      { role: "tool", tool_call_id: "c1", name: "search", content: '{"price":42}' },
      { role: "assistant", content: "42 each.", model: "m", latency_ms: 12 },
      { anything: { deep: { er: true } }, "a-name-without-a-break-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on": "x".repeat(300) },
    ],
  });
  await node.ask("PATCH", `${session}/state`, { seats: 2, nested: { a: [1, { b: null }] }, ["long-key-".repeat(12)]: "y".repeat(200) });
  await node.ask("PUT", `${session}/todos`, { todos: [{ id: "1", content: "Find", status: "completed", priority: "high" }, { id: "2", content: "Book", status: "in_progress", priority: "low" }] });
  await node.ask("POST", `${session}/usage`, { prompt_tokens: 90, completion_tokens: 30 });
  for (let i = 0; i < 3; ++i) await node.ask("POST", `${session}/loop-history`, { tool: "search", arguments: {} });
  await node.ask("PATCH", `${session}/variables`, { variables: { df: "DataFrame" } });
  await node.ask("POST", `${session}/checkpoints`, { name: "safe", tags: ["t"] });
  await node.ask("POST", `${session}/fork`, { id: "fork-of-agent" });
  await node.ask("PUT", "/v1/workflows/w", {});
  await node.ask("PUT", "/v1/workflows/w/nodes", { nodes: [{ id: "a" }, { id: "b", after: ["a"] }, { id: "c", after: ["a"] }] });
  await node.ask("PATCH", "/v1/workflows/w/nodes/a", { status: "running" });
  await node.ask("PATCH", "/v1/workflows/w/nodes/a", { status: "failed", result: { why: "x" } });
  await node.ask("PUT", "/v1/teams/t", {});
  await node.ask("PUT", "/v1/teams/t/members", { members: [{ name: "p", role: "lead" }] });
  await node.ask("POST", "/v1/teams/t/messages", { from: "p", body: { text: "hello" } });
  await node.ask("PUT", "/v1/users/ann", {});
  await node.ask("PUT", "/v1/global", {});
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

const tabs = ["history", "state", "work", "versions", "events", "about"];
const places = [
  "#/", "#/sessions", "#/workflows", "#/teams", "#/users", "#/global", "#/nowhere", "#/sessions/nobody",
  ...tabs.map((tab) => `#/sessions/agent/${tab}`), "#/workflows/w", "#/teams/t", "#/teams/t/members",
];
const settled = (page) => page.waitForTimeout(350);

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds no violation in the ${colorScheme} theme`, async () => {
    const page = await openPage(browser, node, "#/", { colorScheme, bypassCSP: true });
    await page.addScriptTag({ content: axe });
    const found = [];
    const check = async (place) => {
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const one of violations) found.push(`${place}: ${one.id}: ${one.nodes.map((n) => `${n.html.slice(0, 160)} ${n.any[0]?.message ?? ""}`).join(" | ")}`);
    };
    for (const place of places) {
      await page.evaluate((to) => (location.hash = to), place);
      await settled(page);
      await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
      const view = page.getByRole("button", { name: "Request / response" });
      if (await view.count()) await view.click();
      await check(place);
    }
    await page.evaluate(() => (location.hash = "#/sessions/agent"));
    await settled(page);
    await page.getByRole("button", { name: "Delete…" }).first().click();
    await check("dialog");
    assert.deepEqual(found, []);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("no page is wider than its window at any size", async () => {
  for (const width of [390, 820, 1440]) {
    const page = await openPage(browser, node, "#/", { viewport: { width, height: 844 } });
    for (const place of places) {
      await page.goto(`${node.url}/${place}`);
      await settled(page);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(over <= 0, `${place} at ${width} px is ${over} px too wide`);
    }
    await page.context().close();
  }
});

test("the keyboard alone reaches a session and undoes and comes back to where it was", async () => {
  await node.ask("PUT", "/v1/sessions/keys", {});
  await node.ask("PATCH", "/v1/sessions/keys/state", { a: 1 });
  const page = await openPage(browser, node, "#/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  const tabTo = async (name) => {
    for (let i = 0; i < 60; ++i) {
      if ((await page.evaluate(() => document.activeElement?.textContent)) === name) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`the keyboard does not reach ${name}`);
  };
  await tabTo("Sessions");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "keys" }).waitFor();
  await tabTo("keys");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "keys" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  await tabTo("Undo…");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("Undone: 1 step.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Undo…");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the theme follows the system until it is chosen and stays chosen", async () => {
  const page = await openPage(browser, node, "#/", { colorScheme: "dark" });
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await background();
  await page.getByRole("button", { name: "Theme: system" }).click();
  const light = await background();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await background(), light);
  await page.getByRole("button", { name: "Theme: light" }).click();
  assert.equal(await background(), dark);
  await page.context().close();
});
