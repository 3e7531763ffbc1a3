// The main forms with the keyboard alone: every stop can be seen, comes in the
// order in which the page reads, and does what it says.
import assert from "node:assert/strict";
import { signInForm } from "./account.mjs";
import { organisation } from "./organisation.mjs";
import { narrow, Visitor } from "./visitor.mjs";

// What has the focus: its name, and whether that can be seen.
const focused = `(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return { name: "", seen: true };
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  const own = e.cloneNode(true);
  for (const hidden of own.querySelectorAll("[aria-hidden=true]")) hidden.remove();
  const label = e.labels?.[0]?.textContent ?? e.getAttribute("aria-label") ?? own.textContent;
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return {
    name: label.replace(/\\s+/g, " ").trim(),
    seen: (style.boxShadow !== "none" || style.outlineStyle !== "none") && box.width > 1 && box.height > 1 &&
      box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight && (e.contains(top) || top?.contains(e)),
  };
})()`;

class Typist {
  constructor(v) {
    this.v = v;
  }

  key(name) {
    return this.v.page.keyboard.press(name);
  }

  async at() {
    const run = await this.v.document.world();
    return run(focused);
  }

  // rests waits until the focus is where it should be: browsers move it by
  // themselves (autofocus, dialogs) with the next picture they draw, not at once.
  async rests(name, why) {
    let at;
    for (let frame = 0; frame < 120; frame++) {
      at = await this.at();
      if (at.name === name || (name instanceof RegExp && name.test(at.name))) return;
      await this.v.page.evaluate(() => new Promise(requestAnimationFrame));
    }
    assert.fail(`the focus is at "${at.name}", not at "${name}"${why ? `: ${why}` : ""}`);
  }

  // tabs goes from stop to stop and holds the page to these names, in order.
  async tabs(...names) {
    for (const name of names) {
      await this.key("Tab");
      const at = await this.at();
      assert.equal(at.name, name, `the next stop at ${this.v.where()}`);
      assert.ok(at.seen, `"${name}" at ${this.v.where()} does not show that it has the focus`);
    }
  }

  // to goes on until a stop has the name.
  async to(name, stops = 30) {
    for (let i = 0; i < stops; i++) {
      await this.key("Tab");
      const at = await this.at();
      assert.ok(at.seen, `"${at.name}" at ${this.v.where()} does not show that it has the focus`);
      if (at.name === name) return;
    }
    throw new Error(`${stops} stops at ${this.v.where()}, none of them "${name}"`);
  }

  async types(text) {
    await this.v.page.keyboard.type(text);
  }

  enter() {
    return this.v.arriving(() => this.key("Enter"));
  }
}

export async function keyboard(browser, origin, who) {
  const v = await Visitor.open(browser, origin, { ...who, name: "Ada, who has no mouse", scripts: true });
  const by = new Typist(v);
  try {
    await signingIn(v, by);
    await menus(v, by);
    await account(v, by);
    await dialog(v, by, browser);
    await organisationForm(v, by);
    await navigation(v, by);
  } catch (e) {
    console.log(await v.report());
    throw e;
  }
  await v.close();
}

async function signingIn(v, by) {
  await v.go("/-/signin");
  await by.tabs("Skip to the content");
  await by.key("Enter");
  await by.tabs("E-mail address");
  await by.types(v.email);
  await by.tabs("Password");
  await by.types("wrong horse battery staple");
  await v.refused(401, () => by.enter());
  await by.rests(/^Something needs your attention/, "the summary of what is wrong has the focus");
  await by.tabs("E-mail address", "Password");
  await by.types(v.password);
  await by.tabs("Show", "Sign in");
  await by.enter();
  await v.is("/", "Notes");
}

// menus opens the menu of tenants, leaves it with Escape, and goes to work in
// the organisation by it.
async function menus(v, by) {
  await v.go("/-/account/");
  const entry = v.page.getByRole("banner").getByRole("button", { name: organisation });
  await by.tabs("Skip to the content", "Troth", "You work in Personal space");
  await by.key("Enter");
  await entry.waitFor();
  await by.key("Escape");
  await entry.waitFor({ state: "hidden" });
  await by.rests("You work in Personal space", "a closed menu keeps the focus");
  await by.key("Enter");
  await entry.waitFor();
  await by.to(organisation);
  await by.enter();
  await v.is("/-/account/", "Your account");
  await v.page.getByRole("banner").getByText(organisation).first().waitFor();
}

// account jumps over the navigation and goes down the page.
async function account(v, by) {
  await v.go("/-/account/");
  await by.tabs("Skip to the content");
  await by.key("Enter");
  await by.tabs("Name", "Change the name", "Change the address", "Change the password");
  await by.to("Show the sessions");
  await by.enter();
  await v.is("/-/account/sessions", "Where you are signed in");
}

// dialog ends another session: the question has the focus while it is asked,
// and gives it back.
async function dialog(v, by, browser) {
  const elsewhere = await Visitor.open(browser, v.origin, { ...v, name: "Ada, elsewhere", scripts: true });
  await elsewhere.go("/-/signin");
  await signInForm(elsewhere);
  await v.go("/-/account/sessions");
  await by.to("End");
  await by.key("Enter");
  await v.page.getByRole("dialog").waitFor();
  await by.rests("Cancel", "the harmless answer has the focus");
  await by.key("Escape");
  await v.page.getByRole("dialog").waitFor({ state: "detached" });
  await by.rests("End", "the focus comes back to where the question came from");
  await by.key("Enter");
  await v.page.getByRole("dialog").waitFor();
  await by.tabs("End");
  await by.enter();
  await v.says("The session was ended.");
  await elsewhere.close();
}

// organisationForm invites somebody: the first field has the focus already, and
// arrows choose the role.
async function organisationForm(v, by) {
  await v.go("/-/org/invite");
  await by.rests("E-mail address");
  await by.types("somebody@example.org");
  await by.key("Tab");
  await by.rests("Viewer", "the least role is the one that is chosen");
  await by.key("ArrowUp");
  await by.rests("Member");
  await by.tabs("Send the invitation");
  await by.enter();
  await v.is("/-/org/people", "People");
  await by.to("Revoke the invitation for somebody@example.org");
  await by.enter();
  await v.says("The invitation was revoked.");
}

// navigation opens what a small screen hides, and signs out.
async function navigation(v, by) {
  await v.page.setViewportSize(narrow);
  await v.go("/-/account/");
  await by.to("Navigation");
  await by.key("Enter");
  await v.page.getByRole("navigation", { name: "Navigation" }).waitFor();
  await by.tabs("Account", "Sessions");
  await by.key("Escape");
  await v.page.getByRole("navigation", { name: "Navigation" }).waitFor({ state: "hidden" });
  await v.go("/-/signout");
  await by.tabs("Skip to the content");
  await by.key("Enter");
  await by.tabs("Sign out");
  await by.enter();
  await v.is("/-/signin", "Sign in");
}
