// What is stored is text, exact, and found again; however much of it there is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fillHistory, openPage, recordTasks, startBrowser, startNode } from "./support.js";

let node, browser;
before(async () => {
  node = await startNode();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

const markup = `<script>window.owned=1</script><img src=x onerror="window.owned=2"><b>bold</b>`;

test("markup in every place that users can fill stays text", async () => {
  const id = encodeURIComponent(markup);
  const session = `/v1/sessions/${id}`;
  await node.ask("PUT", session, { user: markup, tags: [markup], metadata: { [markup]: markup }, team: markup, workflow: markup });
  await node.ask("POST", `${session}/items`, {
    items: [
      { role: "user", content: markup },
      { role: markup, content: [{ type: "text", text: markup }], [markup]: markup },
      { role: "assistant", content: null, tool_calls: [{ id: "c", function: { name: markup, arguments: markup } }] },
      { role: "tool", tool_call_id: "c", name: markup, content: markup },
    ],
  });
  await node.ask("PATCH", `${session}/state`, { [markup]: markup });
  await node.ask("PUT", `${session}/todos`, { todos: [{ id: "1", content: markup, status: "pending", priority: "high" }] });
  await node.ask("POST", `${session}/loop-history`, { tool: markup, arguments: {} });
  await node.ask("PATCH", `${session}/variables`, { variables: { [markup]: markup }, notebook_id: markup });
  await node.ask("POST", `${session}/checkpoints`, { name: markup, tags: [markup] });
  await node.ask("POST", `${session}/fork`, { id: `${markup}2` });
  await node.ask("PUT", `/v1/workflows/${id}`);
  await node.ask("PUT", `/v1/workflows/${id}/nodes`, { nodes: [{ id: markup }] });
  await node.ask("PUT", `/v1/teams/${id}`);
  await node.ask("PUT", `/v1/teams/${id}/members`, { members: [{ name: markup, role: markup }] });
  await node.ask("POST", `/v1/teams/${id}/messages`, { from: markup, body: markup });

  const places = ["#/", "#/sessions", ...["history", "state", "work", "versions", "events", "about"].map((tab) => `#/sessions/${id}/${tab}`)];
  places.push(`#/workflows/${id}`, `#/teams/${id}`, `#/teams/${id}/members`, `#/workflows`, `#/teams`);
  const page = await openPage(browser, node, "#/");
  for (const place of places) {
    await page.goto(`${node.url}/${place}`);
    if (place === "#/") await node.ask("PATCH", `${session}/state`, { [markup]: Math.random() });
    await page.getByText("<script>").first().waitFor();
    for (const name of ["Chat", "Request / response", "As stored"]) {
      const view = page.getByRole("button", { name, exact: true });
      if (await view.count()) await view.click();
    }
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    await page.waitForTimeout(50);
    const made = await page.evaluate(() => ({ owned: window.owned, scripts: document.querySelectorAll("body script").length, bold: document.querySelectorAll("b").length, images: document.querySelectorAll("img:not(.brand img)").length }));
    assert.deepEqual(made, { owned: undefined, scripts: 0, bold: 0, images: 0 }, place);
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("numbers and members are shown as they are stored", async () => {
  await node.ask("PUT", "/v1/sessions/exact");
  await node.ask("PATCH", "/v1/sessions/exact/state", `{"one":1,"float":1.0,"large":9007199254740993,"least":-9223372036854775808,"__proto__":"own","text":"9007199254740993"}`);
  const page = await openPage(browser, node, "#/sessions/exact/state");
  await page.getByText("6 keys").waitFor();
  const text = await page.locator(".state-list").innerText();
  for (const shown of [/float\s+session\s+1\.0\b/, /large\s+session\s+9007199254740993\b/, /least\s+session\s+-9223372036854775808\b/, /one\s+session\s+1\n/, /__proto__\s+session\s+"own"/, /"9007199254740993"/]) assert.match(text, shown);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a history of 10,000 items scrolls with no task of 50 ms and every place can be reached", async (t) => {
  await fillHistory(node, "long");
  const page = await openPage(browser, node, "#/sessions/long");
  await page.getByText("#1 to #10000").waitFor();
  await page.getByText("Item 10000.").waitFor();
  const tasks = await recordTasks(browser, page);
  const box = await page.locator(".history").boundingBox();
  await page.mouse.move(box.x + 100, box.y + 200);
  for (let i = 0; i < 60; ++i) {
    await page.mouse.wheel(0, -1500);
    await page.waitForTimeout(16);
  }
  for (const part of [0.7, 0.4, 0.1, 0]) {
    await page.locator(".history").evaluate((one, to) => (one.scrollTop = to * one.scrollHeight), part);
    await page.waitForFunction(() => document.querySelectorAll(".history .item:not(.waiting)").length > 3);
    await page.waitForTimeout(100);
  }
  await page.getByText("Item 1.", { exact: false }).first().waitFor();
  const rows = await page.locator(".history .item").count();
  assert.ok(rows < 60, `${rows} rows exist`);
  const { count, longest } = await tasks();
  t.diagnostic(`the longest of ${count} tasks: ${longest.cpu_ms} ms of the processor, ${longest.wall_ms} ms by the clock`);
  assert.ok(count > 200, `${count} tasks were seen`);
  assert.ok(longest.cpu_ms < 50, `a task took ${longest.cpu_ms} ms of the processor (${longest.wall_ms} ms by the clock)`);
  for (const seq of [5001, 9999, 2, 7300]) {
    await page.getByLabel("Go to item").fill(String(seq));
    await page.getByRole("button", { name: "Go", exact: true }).click();
    const item = page.getByRole("article", { name: new RegExp(`item ${seq}$`) });
    await item.waitFor();
    await page.waitForTimeout(150);
    assert.equal(await item.isVisible(), true);
    const top = await item.evaluate((one) => one.getBoundingClientRect().top - one.closest(".history").getBoundingClientRect().top);
    assert.ok(Math.abs(top) < 5 || seq === 9999, `item ${seq} stands at ${top}`);
  }
  await page.getByLabel("Search this history").fill("item 7302");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByText("1 item with “item 7302”").waitFor();
  await page.getByRole("button", { name: "Request / response" }).click();
  await page.getByRole("button", { name: "Newest" }).click();
  await page.getByText("Item 10000.").waitFor();
  await page.getByRole("button", { name: /2 steps: search/ }).first().waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("sequence numbers that were taken back leave no hole in the view", async () => {
  await node.ask("PUT", "/v1/sessions/holes");
  const append = (from, count) => node.ask("POST", "/v1/sessions/holes/items", { items: Array.from({ length: count }, (_, i) => ({ role: "user", content: `value ${from + i};` })) });
  await append(1, 150);
  await node.ask("POST", "/v1/sessions/holes/items/pop", { count: 140 });
  await append(151, 20);
  const page = await openPage(browser, node, "#/sessions/holes");
  await page.getByText("30 items, #1 to #170").waitFor();
  await page.getByText("value 170;").waitFor();
  await page.getByLabel("Go to item").fill("1");
  await page.getByRole("button", { name: "Go", exact: true }).click();
  await page.getByText("value 10;").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".history .waiting").length === 0);
  const texts = await page.locator(".history .text").allInnerTexts();
  const numbers = texts.map((text) => Number(text.match(/\d+/)[0]));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.ok(numbers.includes(10) && numbers.includes(151), String(numbers));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("lists are filtered by what is typed and go on while they are scrolled", async () => {
  const made = Array.from({ length: 450 }, (_, i) => node.ask("PUT", `/v1/users/u${String(i).padStart(3, "0")}`, { tags: i % 2 ? ["odd"] : ["even"] }));
  await Promise.all(made);
  const page = await openPage(browser, node, "#/users");
  await page.getByText("100 users so far").waitFor();
  const list = page.locator(".list-scroll");
  for (let i = 0; i < 20 && !(await page.getByText("450 users", { exact: true }).count()); ++i) {
    await list.evaluate((one) => (one.scrollTop = one.scrollHeight));
    await page.waitForTimeout(100);
  }
  await page.getByText("450 users", { exact: true }).waitFor();
  await list.evaluate((one) => (one.scrollTop = one.scrollHeight));
  await page.getByRole("link", { name: "u449" }).waitFor();
  assert.ok((await page.getByRole("row").count()) < 80);
  await page.getByLabel("Id begins with").fill("u12");
  await page.getByText("10 users", { exact: true }).waitFor();
  await page.getByLabel("Tag").fill("odd");
  await page.getByText("5 users", { exact: true }).waitFor();
  assert.deepEqual(await page.locator(".list-scroll .c-id").allInnerTexts(), ["u121", "u123", "u125", "u127", "u129"]);
  assert.match(page.url(), /#\/users\?prefix=u12&tag=odd$/);
  await page.reload();
  await page.getByText("5 users", { exact: true }).waitFor();
  await page.getByRole("link", { name: "u121" }).click();
  await page.getByRole("heading", { level: 1, name: "u121" }).waitFor();
  await page.goBack();
  await page.getByText("5 users", { exact: true }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("an item of a request and response log shows who answered and in what time", async () => {
  await node.ask("PUT", "/v1/sessions/log");
  const escalation = { source_agent: "triage", target_agent: "analyst", reason: "needs logs", timestamp: "2026-01-02T12:00:00.000Z" };
  const item = { timestamp: "2026-01-02T12:00:00.000Z", user_request: "Why is it red?", agent: "analyst", response: { cause: "skew" }, escalations: [escalation], duration_ms: 1840 };
  await node.ask("POST", "/v1/sessions/log/items", { items: [item, { role: "user", content: "And now?", agent: "a field of its own" }] });
  const page = await openPage(browser, node, "#/sessions/log");
  const article = page.getByRole("article", { name: "exchange, item 1" });
  const text = await article.innerText();
  for (const shown of ["Why is it red?", "answered by analyst in 1840 ms", '"skew"', "escalated from triage to analyst: needs logs"]) assert.ok(text.includes(shown), shown);
  assert.match(await page.getByRole("article", { name: "user, item 2" }).innerText(), /And now\?[\s\S]*agent/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("an export is the file that the API gives", async () => {
  await node.ask("PUT", "/v1/sessions/exported");
  await node.ask("POST", "/v1/sessions/exported/items", { items: [{ role: "user", content: "hello" }] });
  const page = await openPage(browser, node, "#/sessions/exported");
  await page.getByRole("button", { name: "Export…" }).click();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("dialog").getByRole("button", { name: "Export" }).click()]);
  assert.equal(file.suggestedFilename(), "exported.jsonl");
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  const answer = await fetch(`${node.url}/v1/sessions/exported/export?format=jsonl`);
  assert.equal(Buffer.concat(chunks).toString(), await answer.text());
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
