// Who may look: tokens are asked for, kept in memory alone, and asked for again when they do not hold any more.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, startBrowser, startNode } from "./support.js";

let node, browser;
before(async () => {
  node = await startNode({ withToken: true });
  browser = await startBrowser();
  await node.ask("PUT", "/v1/sessions/hers", { user: "ann" });
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

async function signIn(page, token) {
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("a node with tokens shows nothing until one is given and refuses a wrong one", async () => {
  const page = await openPage(browser, node, "#/sessions");
  await page.getByText("This node asks for an access token.").waitFor();
  assert.equal(await page.getByText("hers").count(), 0);
  await signIn(page, "troupe_0123456789abcdef_wrong");
  await page.getByText("unknown, or not valid any more").waitFor();
  await signIn(page, node.admin);
  await page.getByRole("link", { name: "hers" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a token stands in no storage and no address and a reload asks again", async () => {
  const page = await openPage(browser, node, "#/sessions/hers");
  await signIn(page, node.admin);
  await page.getByRole("heading", { level: 1, name: "hers" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML]));
  assert.equal(kept.includes(node.admin), false);
  assert.equal(JSON.stringify(await page.context().storageState()).includes(node.admin), false);
  await page.reload();
  await page.getByLabel("Access token").waitFor();
  await signIn(page, node.admin);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Access token").waitFor();
  assert.equal(await page.getByText("hers").count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a token that expires while the page is open asks again", async () => {
  const expires = new Date(Date.now() + 4000).toISOString();
  const short = node.token("--role", "reader", "--user", "ann", "--expires", expires);
  await new Promise((done) => setTimeout(done, 700)); // until the node has read its tokens again
  const page = await openPage(browser, node, "#/sessions/hers");
  await signIn(page, short);
  await page.getByRole("heading", { level: 1, name: "hers" }).waitFor();
  await page.getByText("unknown, or not valid any more").waitFor({ timeout: 15_000 });
  assert.ok(Date.now() >= Date.parse(expires), "asked before it expired");
  assert.equal(await page.getByText("hers").count(), 0);
  await signIn(page, node.admin);
  await page.getByRole("heading", { level: 1, name: "hers" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a reader sees what is theirs and is told what they may not do", async () => {
  const reader = node.token("--role", "reader", "--user", "ann");
  await new Promise((done) => setTimeout(done, 700));
  const page = await openPage(browser, node, "#/sessions/hers");
  await signIn(page, reader);
  await page.getByRole("button", { name: "Checkpoint…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Make checkpoint" }).click();
  await page.getByText("Nothing was changed: this route is for a writer").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
