// The chart module by itself: what is drawn is what was given.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, startBrowser, startNode } from "./support.js";

let node, browser, page;
before(async () => {
  node = await startNode();
  browser = await startBrowser();
  page = await openPage(browser, node, "#/nowhere");
  await page.evaluate(async () => {
    const { createChart } = await import("/dashboard/chart.js");
    window.draw = (spec) => {
      document.querySelector("#main").replaceChildren();
      const chart = createChart({ title: "T", height: 222, ...spec });
      document.querySelector("#main").append(chart.element);
      return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(undefined))));
    };
    // The points of a path, as numbers.
    window.points = (which) => [...document.querySelectorAll(".chart path")][which].getAttribute("d").split(/(?=[MLHVhZ])/).map((step) => [step[0], ...step.slice(1).trim().split(" ").filter(Boolean).map(Number)]);
  });
});
after(async () => {
  assert.deepEqual(page?.faults, []);
  await browser?.close();
  await node?.stop();
});

const draw = (spec) => page.evaluate((given) => window.draw(given), spec);
const points = (which) => page.evaluate((given) => window.points(given), which);

test("a line has a point for each value in proportion and a gap where there is none", async () => {
  await draw({ kind: "line", x: [0, 1, 2, 3, 4], series: [{ name: "a", y: [0, 5, null, 10, 10] }] });
  const path = await points(0);
  assert.deepEqual(path.map(([step]) => step), ["M", "L", "M", "L"]);
  const [x0, y0] = path[0].slice(1);
  const [x1, y1] = path[1].slice(1);
  const [x3, y3] = path[2].slice(1);
  assert.ok(Math.abs(x3 - x0 - 3 * (x1 - x0)) < 0.2);
  assert.ok(y0 > y1 && Math.abs(y0 - y3 - 2 * (y0 - y1)) < 0.2);
});

test("a step goes along before it goes up", async () => {
  await draw({ kind: "step", x: [0, 1], series: [{ name: "a", y: [1, 2] }] });
  assert.deepEqual((await points(0)).map(([step]) => step), ["M", "H", "V"]);
});

test("a logarithmic axis has equal room for each power of ten and none for zero", async () => {
  await draw({ kind: "line", yScale: "log", x: [0, 1, 2, 3], series: [{ name: "a", y: [1, 10, 100, 0] }] });
  const [a, b, c] = await points(0);
  assert.equal((await points(0)).length, 3);
  assert.ok(Math.abs(b[2] - a[2] - (c[2] - b[2])) < 0.2, String([a, b, c]));
});

test("bands are stacked on each other", async () => {
  await draw({ kind: "area", x: [0, 1], series: [{ name: "a", y: [1, 1] }, { name: "b", y: [2, 2] }] });
  const lower = await points(0);
  const upper = await points(1);
  const base = lower[2][2];
  const top = lower[0][2];
  assert.equal(upper[2][2], top);
  assert.ok(Math.abs(base - upper[0][2] - 3 * (base - top)) < 0.3);
});

test("bars stand in their bins and share them", async () => {
  await draw({ kind: "bars", x: [0, 10, 20], series: [{ name: "a", y: [1, 2] }, { name: "b", y: [3, 0] }] });
  const first = await points(0);
  const second = await points(1);
  assert.equal(first.filter(([step]) => step === "M").length, 2);
  assert.equal(second.filter(([step]) => step === "M").length, 1);
  assert.ok(second[0][1] > first[0][1] && second[0][1] < first[5][1]);
});

test("the table and the pointer and the arrow keys tell exact values", async () => {
  await draw({ kind: "line", x: [1, 2, 3], series: [{ name: "a", y: [0.125, null, 3] }, { name: "b", y: [7, 8, 9] }] });
  const plot = page.getByRole("slider", { name: "T" });
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width - 12, box.y + 50);
  assert.match(await page.locator(".chart-tip").innerText(), /^3\s+a\s+3\s+b\s+9$/);
  await page.mouse.move(0, 0);
  await plot.focus();
  await page.keyboard.press("Home");
  assert.equal(await plot.getAttribute("aria-valuetext"), "1: a 0.125, b 7");
  await page.keyboard.press("ArrowRight");
  assert.equal(await plot.getAttribute("aria-valuetext"), "2: a –, b 8");
  await page.keyboard.press("End");
  assert.equal(await plot.getAttribute("aria-valuenow"), "2");
  await page.getByRole("button", { name: "T: show as table" }).click();
  assert.deepEqual(await page.getByRole("table", { name: "T" }).getByRole("row").allInnerTexts(), ["x\ta\tb", "1\t0.125\t7", "2\t–\t8", "3\t3\t9"]);
});

test("a chart without values says so and takes values later", async () => {
  await draw({ kind: "bars", xScale: "log", x: [], series: [{ name: "a", y: [] }] });
  await page.getByText("No values yet").waitFor();
  assert.equal(await page.getByRole("slider").getAttribute("aria-valuetext"), "no values yet");
  await draw({ kind: "line", x: [5], series: [{ name: "a", y: [0] }] });
  assert.equal(await page.getByText("No values yet").count(), 0);
});
