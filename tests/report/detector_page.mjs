// Chromium's eyes on the page whose path is given: fails with a list of what is wrong.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [path, pictures] = process.argv.slice(2);
const wrong = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
for (const width of [1280, 400]) for (const colorScheme of ["light", "dark"]) {
  const where = `${width} px, ${colorScheme}: `;
  const tab = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  tab.on("console", (message) => wrong.push(where + message.text()));
  tab.on("pageerror", (error) => wrong.push(where + error));
  await tab.goto(`file://${path}`);
  if (pictures) await tab.screenshot({ path: `${pictures}_${width}_${colorScheme}.png`, fullPage: true });
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => axe.run());
  for (const one of violations) wrong.push(`${where}${one.id}: ${one.nodes[0].target} ${one.nodes[0].failureSummary}`);
  const beyond = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (beyond > 0) wrong.push(`${where}${beyond} px too wide`);

  const state = () => tab.evaluate(() => {
    const section = document.querySelector("section:not([hidden])");
    return [section.querySelector("output").textContent, section.querySelector("input").getAttribute("aria-valuetext"),
      section.querySelector("pre").textContent, section.querySelector("[data-found]").textContent];
  });
  const before = await state();
  await tab.focus("section:not([hidden]) input");
  await tab.keyboard.press("End");
  const after = await state();
  before.slice(0, 3).forEach((text, part) => {
    if (text === after[part]) wrong.push(`${where}the slider leaves part ${part} as it was`);
  });
  const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  if (outline !== "solid") wrong.push(`${where}the focus is not seen`);
  const tasks = await tab.locator("section").count();
  if (tasks > 1) {
    await tab.selectOption("#task", { index: tasks - 1 });
    const shown = await tab.locator("section:visible").count();
    if (shown !== 1) wrong.push(`${where}${shown} tasks are shown at a time`);
  }
  await tab.close();
}
await browser.close();
if (wrong.length) { console.log(wrong.join("\n")); process.exit(1); }
