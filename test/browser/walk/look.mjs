// Looks at the page that a visitor is on, as different eyes do: a large light
// screen, a small dark one, a screen reader.
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { compare } from "./snapshot.mjs";
import { narrow, wide } from "./visitor.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = JSON.stringify({
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  rules: { "target-size": { enabled: true } }, // WCAG 2.2, 2.5.8; off by default
  resultTypes: ["violations"], elementRef: false,
});
const violations = `axe.run(document, ${rules}).then((r) => r.violations.map((v) =>
  v.id + ": " + v.help + v.nodes.map((n) => "\\n    " + n.target.join(" ") + "  " + n.html.slice(0, 160) + "\\n      " + n.failureSummary.replaceAll("\\n", " ")).join("")))`;
const basics = `({ lang: document.documentElement.lang, title: document.title, headings: document.querySelectorAll("h1").length })`;
// What sticks out on the right, if the page is wider than the screen.
const overflow = `(() => {
  const room = document.documentElement.clientWidth;
  if (Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) <= room) return [];
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1);
  return ["the page is " + document.documentElement.scrollWidth + " pixels wide", ...wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
})()`;

export const tally = { pages: new Set(), looks: 0 };

// look examines the page. The name is the one of its snapshot; snapshot: false
// is for pages whose content depends on chance, hide lists texts to replace in
// it by a word. screen names the screenshots that are kept of it: "" (light),
// "-dark", "-narrow".
export const look = (visitor, name, how) => visitor.document.running(() => examine(visitor, name, how));

async function examine(visitor, name, { snapshot = true, hide = [], screen = [] } = {}) {
  const { page } = visitor;
  const found = [];
  const run = await visitor.document.world(axe);
  const basic = await run(basics);
  if (basic.lang !== "en") found.push(`the language of the page is ${JSON.stringify(basic.lang)}`);
  if (!/\S+ · \S+/.test(basic.title)) found.push(`the title ${JSON.stringify(basic.title)} does not name the page and the service`);
  if (basic.headings !== 1) found.push(`the page has ${basic.headings} main headings`);
  const csp = visitor.response.headers()["content-security-policy"] ?? "";
  if (!csp.startsWith("default-src 'none'")) found.push(`the Content-Security-Policy is ${JSON.stringify(csp)}`);
  if (snapshot) found.push(...compare(name, await page.locator("body").ariaSnapshot(), hide));

  const eyes = async (viewport, colorScheme) => {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    for (const v of await run(violations)) found.push(`axe, ${colorScheme}, ${viewport.width} px: ${v}`);
  };
  await eyes(narrow, "dark");
  for (const o of await run(overflow)) found.push(`at 320 px: ${o}`);
  if (!visitor.scripts) screen = []; // one picture of a page is enough
  await keep(page, name, screen, "-narrow", narrow, "light");
  await keep(page, name, screen, "-dark", wide, "dark");
  await eyes(wide, "light");
  await keep(page, name, screen, "", wide, "light");
  tally.pages.add(name);
  tally.looks++;
  if (found.length > 0) visitor.complaints.push(`${name} (${visitor.scripts ? "with" : "without"} scripts) at ${visitor.where()}:\n  ${found.join("\n  ")}`);
}

// keep takes a screenshot when SCREENS is set: into docs/screens those that the
// documentation shows, and all of them into SCREENS if that is a directory.
async function keep(page, name, screen, kind, viewport, colorScheme) {
  const where = process.env.SCREENS;
  if (!where) return;
  const everything = where.includes("/");
  if (!everything && !screen.includes(kind)) return;
  await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme });
  const directory = everything ? where : path.resolve(import.meta.dirname, "../../../docs/screens");
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: path.join(directory, `${name}${kind}.png`), fullPage: everything, animations: "disabled" });
}
