// The walk: everything that a newcomer does, in a real browser, once with
// scripts and once without any. See walk/ for the chapters, browser_test.go for
// what starts it. ORIGIN and OWNER (the first owner's link) come from there;
// UPDATE=1 writes the snapshots anew, SCREENS=1 the screenshots of docs/screens,
// SCREENS=/some/directory/ a picture of every page in every light. ONLY=passkeys
// or ONLY=factors walks that chapter alone.
import assert from "node:assert/strict";
import { byMail, byOwnersLink, inAndOut, menus, passwords, sessions, signOut } from "./walk/account.mjs";
import { start } from "./walk/chromium.mjs";
import { factors } from "./walk/factors.mjs";
import { keyboard } from "./walk/keyboard.mjs";
import { tally } from "./walk/look.mjs";
import { application, change, found, join, obey } from "./walk/organisation.mjs";
import { passkeys } from "./walk/passkeys.mjs";
import { activity, others, refusals, strangers, trust } from "./walk/records.mjs";
import { leftover } from "./walk/snapshot.mjs";
import { Visitor } from "./walk/visitor.mjs";

const { ORIGIN: origin, OWNER: owner } = process.env;
assert.ok(origin && owner, "ORIGIN and OWNER say where Troth is and how its first owner signs up");
const began = Date.now();

// chapter runs one part of the walk, and says how long it took.
async function chapter(name, visitors, deed) {
  const from = Date.now();
  try {
    await deed();
  } catch (e) {
    for (const v of visitors) if (!v.closed) console.log(await v.report());
    console.log(`${name} went wrong:`);
    throw e;
  }
  console.log(`${name}: ${((Date.now() - from) / 1000).toFixed(1)} s`);
}

// story tells everything once.
async function story(scripts, signUp) {
  const kind = scripts ? "with scripts" : "without scripts";
  const mail = scripts ? "" : ".plain";
  const ada = await Visitor.open(browser, origin, { name: "Ada Lovelace", email: `ada${mail}@example.org`, scripts });
  const grace = await Visitor.open(browser, origin, { name: "Grace Hopper", email: `grace${mail}@example.org`, scripts });
  const tell = (name, deed) => chapter(`${kind}: ${name}`, [ada, grace], deed);
  await tell("a stranger", () => strangers(ada));
  await tell("signing up", () => signUp(ada));
  await tell("signing out and in", () => inAndOut(ada));
  await tell("menus", () => menus(ada));
  await tell("the application", () => application(ada));
  await tell("an organisation", () => found(ada, grace));
  await tell("joining", () => join(grace, ada));
  await tell("roles are obeyed at once", () => obey(ada, grace));
  await tell("sessions", () => sessions(ada, browser));
  await tell("passwords", () => passwords(ada));
  await tell("activity and proofs", () => activity(ada));
  await tell("switching", () => change(ada));
  await tell("activity of the organisation", () => others(ada, grace));
  await tell("signing out", () => signOut(ada));
  await tell("promises", () => trust(ada));
  await tell("refusals", () => refusals(ada));
  await tell("complaints", async () => {
    await grace.close();
    await ada.close();
  });
  return ada;
}

// everything is both stories, and what needs them.
async function everything() {
  if (!process.env.PLAIN) await story(true, (ada) => byOwnersLink(ada, owner));
  const ada = await story(false, byMail);
  await chapter("the keyboard alone", [], () => keyboard(browser, origin, ada));
}

const browser = await start();
try {
  const only = process.env.ONLY, all = !only;
  if (all) await everything();
  if (all || only === "passkeys") {
    const holder = await Visitor.open(browser, origin, { name: "Ada Lovelace", email: "ada.keys@example.org" });
    await chapter("passkeys", [holder], () => passkeys(holder, browser));
  }
  if (all || only === "factors") {
    for (const scripts of [true, false]) {
      const ada = await Visitor.open(browser, origin, { name: "Ada Lovelace", email: `ada.codes${scripts ? "" : ".plain"}@example.org`, scripts });
      await chapter(`codes, ${scripts ? "with" : "without"} scripts`, [ada], () => factors(ada));
    }
  }
  if (all) assert.deepEqual(leftover(), [], "snapshots that belong to no page");
} finally {
  await browser.close();
}
console.log(`${tally.pages.size} pages, looked at ${tally.looks} times, in ${((Date.now() - began) / 1000).toFixed(0)} s`);
