// A node of its own on a free port, and a real Chromium that looks at it.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const root = new URL("../..", import.meta.url).pathname;
const builds = ["release", "dev"].map((preset) => join(root, "build", preset, "bin/troupe"));
export const troupe = process.env.TROUPE ?? builds.find(existsSync) ?? builds[0];

/** Starts a node; `stop` ends it and removes what it stored. */
export async function startNode({ withToken } = {}) {
  const data = mkdtempSync(join(tmpdir(), "troupe-browser-"));
  const token = (...options) => execFileSync(troupe, ["token", "create", "--data", data, ...options], { encoding: "utf8" }).match(/troupe_[\w.-]+/)[0];
  const admin = withToken ? token("--role", "admin") : "";
  let child;
  const start = (listen) =>
    new Promise((done, failed) => {
      child = spawn(troupe, ["serve", "--data", data, "--listen", listen], { stdio: ["ignore", "pipe", "inherit"] });
      let told = "";
      child.stdout.on("data", (text) => {
        told += text;
        const found = /listening on (http:\S+)/.exec(told);
        if (found) done(found[1]);
      });
      child.on("exit", (code) => failed(new Error(`the node ended with ${code}: ${told}`)));
    });
  const end = () =>
    new Promise((done) => {
      child.removeAllListeners("exit");
      child.on("exit", done);
      child.kill("SIGTERM");
    });
  const url = await start("127.0.0.1:0");
  /** A request of the API; fails loudly. */
  const ask = async (method, path, body, headers = {}) => {
    if (body !== undefined) headers = { "Content-Type": "application/json", ...headers };
    if (admin) headers = { Authorization: `Bearer ${admin}`, ...headers };
    const answer = await fetch(url + path, { method, headers, body: typeof body === "string" || body === undefined ? body : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : {};
  };
  const stop = async () => {
    await end();
    rmSync(data, { recursive: true, force: true });
  };
  /** Ends the node and starts it again at the same address. */
  const restart = async () => {
    await end();
    await start(new URL(url).host);
  };
  return { url, ask, stop, restart, token, admin };
}

export const startBrowser = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

/**
 * A page of the dashboard. Whatever it writes to the console as an error, throws, or asks of somebody else is in
 * `faults`; a refused request (4xx) is no fault, the page tells of it.
 */
export async function openPage(browser, node, place = "#/", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (why) => page.faults.push(String(why.stack)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) page.faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(node.url) && !request.url().startsWith("blob:")) page.faults.push(`asks ${request.url()}`);
  });
  await page.goto(`${node.url}/${place}`);
  return page;
}

/** 10,000 items as an agent makes them: requests, calls, results, answers of many lengths. */
export async function fillHistory(node, id, count = 10_000) {
  await node.ask("PUT", `/v1/sessions/${id}`);
  const item = (n) => {
    if (n % 5 === 2) return { role: "assistant", content: null, tool_calls: [{ id: `c${n}`, type: "function", function: { name: "search", arguments: `{"q":"item ${n}"}` } }] };
    if (n % 5 === 3) return { role: "tool", tool_call_id: `c${n - 1}`, name: "search", content: `{"found":${n}}` };
    return { role: n % 5 === 0 ? "user" : "assistant", content: `Item ${n}. ${"word ".repeat(5 + ((n * 37) % 180))}` };
  };
  for (let from = 1; from <= count; from += 1000) {
    const items = Array.from({ length: Math.min(1000, count - from + 1) }, (_, i) => item(from + i));
    await node.ask("POST", `/v1/sessions/${id}/items`, { items });
  }
}

/**
 * Records the tasks of a page's main thread; answers what ends it and tells the longest. A task is measured by the time
 * that the processor was its own, so that other work on the machine does not count; on an idle one both times agree.
 */
export async function recordTasks(browser, page) {
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  return async () => {
    const { traceEvents } = JSON.parse(await browser.stopTracing());
    const mains = new Set(traceEvents.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => `${e.pid} ${e.tid}`));
    const tasks = traceEvents.filter((e) => e.ph === "X" && /RunTask$/.test(e.name) && e.tdur !== undefined && mains.has(`${e.pid} ${e.tid}`));
    tasks.sort((a, b) => b.tdur - a.tdur);
    return { count: tasks.length, longest: { cpu_ms: (tasks[0]?.tdur ?? 0) / 1000, wall_ms: (tasks[0]?.dur ?? 0) / 1000 } };
  };
}
