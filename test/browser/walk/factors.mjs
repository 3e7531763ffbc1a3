// Second factors that are codes: an authenticator app, recovery codes and mailed
// codes, set up, asked for at sign-in, and removed; with scripts and without.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { byMail, signOut } from "./account.mjs";
import { look } from "./look.mjs";

// shown is the code that an app with the key shows (RFC 6238), some steps of
// half a minute from now.
function shown(key, later = 0) {
  const bits = [...key.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const sum = createHmac("sha1", secret).update(step).digest();
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

export async function factors(v) {
  await byMail(v);
  await mailed(v);
  const key = await app(v);
  const codes = await recovery(v);
  await asked(v, key, codes);
  await remove(v);
  await v.close();
}

// inside goes from the application, to which signing in leads, to the list.
async function inside(v) {
  await v.go("/-/account/factors");
  await v.is("/-/account/factors", "Sign-in methods");
}

async function half(v) {
  await signOut(v);
  await v.fill({ "E-mail address": v.email, "Password": v.password });
  await v.press("Sign in");
  await v.is("/-/signin/code", "One more step");
}

async function mailed(v) {
  await inside(v);
  await look(v, "factors-none", { screen: ["", "-narrow"] });
  await v.follow("Switch on");
  await v.page.getByRole("heading", { level: 1, name: "Have a code mailed at sign-in?" }).waitFor();
  await look(v, "factor-mail");
  await v.press("Have codes mailed");
  await v.says("From now on, a code is mailed at sign-in.");
  await half(v);
  await v.press("Send the code");
  const step = v.page.url();
  await v.letter("Your code to sign in");
  const code = /^\d{8}$/m.exec(await v.page.locator("pre").innerText())[0];
  await v.go(step);
  await v.fill({ "Code": code });
  await v.press("Go on");
  await inside(v);
  await v.says("A code is mailed at every sign-in.");
}

async function app(v) {
  await v.follow("Set up an app");
  await v.is("/-/account/factors/app", "Set up an authenticator app");
  await look(v, "factor-app");
  await v.fill({ "What do you call it? (optional)": "Phone" });
  await v.press("Go on");
  await look(v, "factor-key", { screen: ["", "-dark", "-narrow"] });
  const key = await v.page.locator("[data-copy-source]").innerText();
  assert.match(key, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/);
  const link = await v.link("Open it in the app").getAttribute("href");
  assert.equal(new URL(link).searchParams.get("secret"), key.replaceAll(" ", ""));
  await v.refused(422, async () => {
    await v.fill({ "Code": shown(key, 5) });
    await v.press("Set it up");
    await v.says("about 2 minutes and 30 seconds fast");
    await look(v, "factor-key-clock");
  });
  await v.fill({ "Code": shown(key) });
  await v.press("Set it up");
  await v.says("The app is set up.");
  return key;
}

async function recovery(v) {
  await v.is("/-/account/factors/recovery", "Recovery codes");
  await look(v, "factor-recovery");
  await v.press("Make recovery codes");
  await look(v, "factor-codes", { screen: ["", "-narrow"] });
  const codes = await v.page.locator("ol.codes code").allInnerTexts();
  assert.equal(codes.length, 10);
  v.downloading = true;
  const [file] = await Promise.all([v.page.waitForEvent("download"), v.link("Save them as a file").click()]);
  const saved = readFileSync(await file.path(), "utf8");
  v.downloading = false;
  assert.ok(codes.every((c) => saved.includes(c)), "the file holds the codes");
  await v.follow("I have kept them");
  await v.is("/-/account/factors", "Sign-in methods");
  await v.says("10 of 10 are left");
  await look(v, "factors", { screen: ["", "-dark", "-narrow"] });
  await v.go("/-/account/factors/phone");
  await v.says("SIM swap");
  await look(v, "factor-phone-no-plan");
  return codes;
}

// asked signs in with a code of the app, and with one from paper.
async function asked(v, key, codes) {
  await half(v);
  await look(v, "code-app", { screen: ["", "-narrow"] });
  await v.refused(401, async () => {
    await v.fill({ "Code": "000000" });
    await v.press("Go on");
    await look(v, "code-wrong");
  });
  await v.fill({ "Code": shown(key, 1) }); // the one that set it up is used up
  await v.press("Go on");
  await inside(v);
  await half(v);
  await v.follow("A recovery code");
  await look(v, "code-recovery");
  await v.fill({ "Recovery code": codes[6].toUpperCase().replaceAll("-", " ") });
  await v.press("Go on");
  await inside(v);
  await v.says("9 of 10 are left");
}

async function remove(v) {
  await v.follow(/^Remove/);
  await v.page.getByRole("heading", { level: 1, name: "Remove the app “Phone”?" }).waitFor();
  await look(v, "factor-remove");
  await v.press("Remove it");
  await v.says("It was removed. Every other session was ended.");
  await v.says("Codes on paper stand in for a device that is lost.");
}
