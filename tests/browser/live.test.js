// What the page shows follows what happens on the node, without a reload.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, startBrowser, startNode } from "./support.js";

let node, browser;
before(async () => {
  node = await startNode();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

/** Opens a page, runs `look`, and holds the page to have had no fault. */
async function see(place, look, options) {
  const page = await openPage(browser, node, place, options);
  await look(page);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

test("a session that is created over the API appears in the list without reload", () =>
  see("#/sessions", async (page) => {
    await page.getByText("No sessions here.").waitFor();
    await node.ask("PUT", "/v1/sessions/appears", { user: "ann", tags: ["t1"] });
    const row = page.getByRole("row").filter({ hasText: "appears" });
    await row.waitFor();
    assert.match(await row.innerText(), /active[\s\S]*ann[\s\S]*t1/);
    await node.ask("DELETE", "/v1/sessions/appears");
    await row.waitFor({ state: "detached" });
  }));

test("a fork appears in the tree of its parent and leads to its own page", async () => {
  await node.ask("PUT", "/v1/sessions/root", {});
  await node.ask("POST", "/v1/sessions/root/fork", { id: "first" });
  await see("#/sessions/root/versions", async (page) => {
    const tree = page.getByRole("region", { name: "Branches" });
    await tree.getByRole("link", { name: "first" }).waitFor();
    await node.ask("POST", "/v1/sessions/first/fork", { id: "grandchild" });
    await node.ask("POST", "/v1/sessions/root/fork", { id: "second" });
    await tree.getByRole("link", { name: "second" }).waitFor();
    const below = tree.locator("li li li").filter({ hasText: "grandchild" });
    await below.waitFor();
    await tree.getByRole("link", { name: "grandchild" }).click();
    await page.getByRole("heading", { level: 1, name: "grandchild" }).waitFor();
    await tree.getByRole("link", { name: "root" }).waitFor();
    assert.equal(await tree.locator("[aria-current=true]").innerText(), "grandchild");
  });
});

test("undo changes what is shown and redo brings it back", async () => {
  await node.ask("PUT", "/v1/sessions/undone", {});
  await node.ask("PATCH", "/v1/sessions/undone/state", { colour: "green" });
  await node.ask("POST", "/v1/sessions/undone/items", { items: [{ role: "user", content: "keep this" }] });
  await node.ask("POST", "/v1/sessions/undone/items", { items: [{ role: "user", content: "take this back" }] });
  await see("#/sessions/undone", async (page) => {
    await page.getByText("take this back").waitFor();
    await page.getByRole("button", { name: "Undo…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Undo" }).click();
    await page.getByText("take this back").waitFor({ state: "detached" });
    assert.equal(await page.getByText("keep this").count(), 1);
    assert.equal(await page.locator("#revision").innerText(), "5");
    await page.getByRole("button", { name: "Redo…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Redo" }).click();
    await page.getByText("take this back").waitFor();
  });
});

test("an undo that was asked of an older revision than there is changes nothing and says so", async () => {
  await node.ask("PUT", "/v1/sessions/stale", {});
  await node.ask("PATCH", "/v1/sessions/stale/state", { a: 1 });
  await see("#/sessions/stale/state", async (page) => {
    await page.getByText("1 key").waitFor();
    await page.getByRole("button", { name: "Undo…" }).click();
    await page.route("**/v1/sessions/stale", (route) => (route.request().method() === "GET" ? route.abort() : route.continue()));
    // The page's revision stays behind: its dialog was opened before this change.
    await node.ask("PATCH", "/v1/sessions/stale/state", { a: 2 });
    await page.getByRole("dialog").getByRole("button", { name: "Undo" }).click();
    await page.getByText("It was changed meanwhile and is at revision 3").waitFor();
    assert.deepEqual((await node.ask("GET", "/v1/sessions/stale/state")).state, { a: 2 });
    page.faults = page.faults.filter((fault) => !fault.includes("ERR_FAILED"));
  });
});

test("a history follows what is appended while its end is in view", async () => {
  await node.ask("PUT", "/v1/sessions/grows", {});
  await see("#/sessions/grows", async (page) => {
    await page.getByText("No items yet.").waitFor();
    for (let n = 1; n <= 250; n += 50) {
      await node.ask("POST", "/v1/sessions/grows/items", { items: Array.from({ length: 50 }, (_, i) => ({ role: "user", content: `number ${n + i}.` })) });
    }
    await page.getByText("number 250.").waitFor();
    await page.getByText("250 items, #1 to #250").waitFor();
    await page.getByLabel("Go to item").fill("3");
    await page.getByRole("button", { name: "Go", exact: true }).click();
    await page.getByText("number 3.", { exact: true }).waitFor();
    await node.ask("POST", "/v1/sessions/grows/items", { items: [{ role: "user", content: "number 251." }] });
    await page.getByText("#1 to #251").waitFor();
    assert.equal(await page.getByText("number 3.", { exact: true }).count(), 1);
    await node.ask("POST", "/v1/sessions/grows/items/pop", { count: 200 });
    await page.getByText("51 items, #1 to #51").waitFor();
  });
});

test("restore and merge and checkpoints and deletion ask first and then happen", async () => {
  await node.ask("PUT", "/v1/sessions/base", {});
  await node.ask("PATCH", "/v1/sessions/base/state", { plan: "one", left: 1 });
  await node.ask("POST", "/v1/sessions/base/fork", { id: "branch" });
  await node.ask("PATCH", "/v1/sessions/branch/state", { plan: "theirs" });
  await see("#/sessions/base/versions", async (page) => {
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Checkpoint…" }).click();
    await dialog.getByLabel("Name").fill("safe place");
    await dialog.getByRole("button", { name: "Make checkpoint" }).click();
    await page.getByText("safe place", { exact: true }).waitFor();
    await node.ask("PATCH", "/v1/sessions/base/state", { plan: "ours" });
    const difference = page.getByRole("region", { name: "Difference" });
    await difference.getByText("/state/plan").waitFor();
    assert.match(await difference.innerText(), /"one"[\s\S]*"ours"/);

    await page.getByRole("button", { name: "Merge…" }).click();
    await dialog.getByRole("button", { name: "Merge" }).click();
    await dialog.getByText("Conflicts: nothing was merged").waitFor();
    assert.match(await dialog.innerText(), /plan/);
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Merge…" }).click();
    await dialog.getByLabel("Conflicts").selectOption("theirs");
    await dialog.getByRole("button", { name: "Merge" }).click();
    await page.getByText("Merged branch.").waitFor();
    assert.equal((await node.ask("GET", "/v1/sessions/base/state")).state.plan, "theirs");

    await page.getByRole("button", { name: "Restore safe place" }).click();
    await dialog.getByRole("button", { name: "Restore" }).click();
    await page.getByText("Restored.").waitFor();
    assert.equal((await node.ask("GET", "/v1/sessions/base/state")).state.plan, "one");

    await page.getByRole("button", { name: "Delete…", exact: true }).first().click();
    const sure = dialog.getByRole("button", { name: "Delete" });
    assert.equal(await sure.isDisabled(), true);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal((await node.ask("GET", "/v1/sessions/base")).id, "base");
    await page.getByRole("button", { name: "Delete…", exact: true }).first().click();
    await dialog.getByLabel("Type base to confirm").fill("base");
    await sure.click();
    await page.getByRole("heading", { level: 1, name: "Sessions" }).waitFor();
    await assert.rejects(node.ask("GET", "/v1/sessions/base"), /404/);
  });
});

test("a workflow's graph and a team's messages follow their changes", async () => {
  await node.ask("PUT", "/v1/workflows/w", {});
  await node.ask("PUT", "/v1/workflows/w/nodes", { nodes: [{ id: "a" }, { id: "b", after: ["a"] }] });
  await see("#/workflows/w", async (page) => {
    const picture = page.getByRole("group", { name: "Graph of the nodes" });
    await picture.getByRole("button", { name: "a: pending, may start" }).waitFor();
    await picture.getByRole("button", { name: "b: pending", exact: true }).waitFor();
    await node.ask("PATCH", "/v1/workflows/w/nodes/a", { status: "running" });
    await picture.getByRole("button", { name: "a: running" }).waitFor();
    await picture.getByRole("button", { name: "a: running" }).press("Enter");
    await node.ask("PATCH", "/v1/workflows/w/nodes/a", { status: "done", result: { answer: 42 } });
    await picture.getByRole("button", { name: "b: pending, may start" }).waitFor();
    await page.getByText("42", { exact: true }).waitFor();
  });
  await node.ask("PUT", "/v1/teams/t", {});
  await node.ask("PUT", "/v1/teams/t/members", { members: [{ name: "p", role: "lead" }, { name: "q" }] });
  await see("#/teams/t", async (page) => {
    await page.getByText("No messages.").waitFor();
    await node.ask("POST", "/v1/teams/t/messages", { from: "p", to: "q", body: { text: "hello q" } });
    await page.getByText("hello q").waitFor();
    await page.getByText("to q", { exact: true }).waitFor();
  });
});

test("the overview counts and shows changes as they are made", () =>
  see("#/", async (page) => {
    await page.getByText("Live", { exact: true }).first().waitFor();
    await page.locator("#link[data-open=true]").waitFor();
    await node.ask("PUT", "/v1/sessions/counted", {});
    const feed = page.getByRole("region", { name: "Changes as they come" });
    await feed.getByRole("link", { name: "counted" }).waitFor();
    const value = (name) => page.locator(".tile").filter({ hasText: name }).locator("strong").innerText();
    const live = async () => Number((await node.ask("GET", "/v1/stats")).live);
    await page.waitForFunction(() => document.querySelectorAll(".chart-line[d^=M]").length > 3);
    for (let i = 0; i < 40 && Number(await value("Live")) !== (await live()); ++i) await page.waitForTimeout(250);
    assert.equal(Number(await value("Live")), await live());
    assert.match(await value("Memory"), /MiB/);
    const chart = page.getByRole("slider", { name: "Changes and commits" });
    await chart.focus();
    await page.keyboard.press("ArrowLeft");
    assert.match(await chart.getAttribute("aria-valuetext"), /\d\d:\d\d:\d\d: changes [\d.,–]+(\/s)?, commits/);
    await page.getByRole("button", { name: "Disk: show as table" }).click();
    const cells = page.getByRole("table", { name: "Disk" }).getByRole("row");
    assert.ok((await cells.count()) > 2);
    assert.match(await cells.nth(1).innerText(), /KiB/);
  }));

test("changes that are made while the page is not connected are shown when it is back", async () => {
  await node.ask("PUT", "/v1/sessions/kept", {});
  await see("#/", async (page) => {
    await page.locator("#link[data-open=true]").waitFor();
    await node.ask("PUT", "/v1/sessions/seen", {});
    const feed = page.getByRole("region", { name: "Changes as they come" });
    await feed.getByRole("link", { name: "seen" }).waitFor();
    await node.restart();
    await node.ask("PUT", "/v1/sessions/missed", {});
    assert.equal(await page.locator("#link").innerText(), "Reconnecting");
    await feed.getByRole("link", { name: "missed" }).waitFor();
    assert.equal(await feed.getByRole("link", { name: "seen" }).count(), 1);
    assert.equal(await page.locator("#link").innerText(), "Live");
    page.faults = page.faults.filter((fault) => !/ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(fault));
  });
});
