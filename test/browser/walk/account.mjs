// The life of an account: signing up, signing in and out, sessions, passwords.
import assert from "node:assert/strict";
import { look } from "./look.mjs";
import { Visitor } from "./visitor.mjs";

// byOwnersLink signs up with the link that the program printed. Opening it
// uses nothing up; the form that follows signs in at once.
export async function byOwnersLink(v, link) {
  await v.go(link);
  await look(v, "admission");
  await v.press("Go on to sign up");
  await v.is("/-/signup", "Sign up");
  await look(v, "signup-owner");
  await v.fill({ "E-mail address": v.email, "Name": v.name, "Password": v.password });
  await v.press("Sign up");
  await v.is("/-/account/", "Your account");
  await look(v, "account-unconfirmed");
  await v.mailed("Confirm your e-mail address");
  await look(v, "confirm-address");
  await v.press("Confirm the address");
  await v.is("/-/account/", "Your account");
  await v.says("Your address is confirmed.");
}

// byMail signs up as anybody can where sign-up is open: the link in a mail
// makes the account, and whoever has it signs in.
export async function byMail(v) {
  await v.go("/-/signup");
  await look(v, "signup");
  await v.refused(422, async () => {
    await v.fill({ "E-mail address": v.email, "Name": v.name, "Password": "fifteen letters" });
    await v.page.getByLabel("Password", { exact: true }).evaluate((e) => { e.removeAttribute("minlength"); e.value = "short"; });
    await v.press("Sign up");
    await look(v, "signup-refused");
  });
  await signUpForm(v);
  await v.mailed("Confirm your e-mail address");
  await look(v, "confirm-signup");
  await v.press("It was me: make the account");
  await v.is("/-/signin", "Sign in");
  await look(v, "signin-confirmed");
  await signIn(v);
}

// signUpForm fills in the form of sign-up; the answer tells nothing.
export async function signUpForm(v) {
  await v.fill({ "E-mail address": v.email, "Name": v.name, "Password": v.password });
  await v.press("Sign up");
  await v.is("/-/signup/sent", "Look into your mailbox");
  await look(v, "signup-sent");
}

export async function signInForm(v, secret = v.password) {
  await v.fill({ "E-mail address": v.email, "Password": secret });
  await v.press("Sign in");
}

// signIn signs in, which leads to the application, and goes to the account.
export async function signIn(v) {
  await signInForm(v);
  await v.is("/", "Notes");
  await v.go("/-/account/");
  await v.is("/-/account/", "Your account");
}

// signOut uses the menu at the top, which opens without a script.
export async function signOut(v) {
  const top = v.page.getByRole("banner");
  await top.locator("details.menu.end > summary").click();
  await v.press("Sign out", top);
  await v.is("/-/signin", "Sign in");
  await v.says("You are signed out.");
}

// inAndOut signs out, tries a wrong password, and comes back in.
export async function inAndOut(v) {
  await signOut(v);
  await look(v, "signin-after-signout");
  await v.refused(401, async () => {
    await signInForm(v, "wrong horse battery staple");
    await v.says("The e-mail address or the password is wrong.");
    assert.equal(await v.page.getByLabel("E-mail address").inputValue(), v.email, "the address is kept");
    assert.equal(await v.page.getByLabel("Password").inputValue(), "", "the password is not");
    await look(v, "signin-refused", { screen: ["-narrow"] });
  });
  await v.go("/-/signin");
  await look(v, "signin", { screen: ["", "-dark"] });
  await signIn(v);
  await look(v, "account", { screen: ["", "-dark", "-narrow"] });
}

// menus opens what the header and, on a small screen, the navigation hold.
export async function menus(v) {
  const top = v.page.getByRole("banner");
  for (const [name, menu] of [["menu-tenants", top.locator("details.menu").first()], ["menu-person", top.locator("details.menu.end")]]) {
    await menu.locator("summary").click();
    await menu.locator(":scope > div").waitFor();
    await look(v, name);
    if (v.scripts) await v.page.keyboard.press("Escape");
    else await menu.locator("summary").click();
    await menu.locator(":scope > div").waitFor({ state: "hidden" });
  }
}

// sessions signs in elsewhere, ends that session from here, and sees that the
// next request there is refused.
export async function sessions(v, browser) {
  const elsewhere = await Visitor.open(browser, v.origin, v);
  await elsewhere.go("/-/signin");
  await signIn(elsewhere);

  await v.go("/-/account/sessions");
  await v.is("/-/account/sessions", "Where you are signed in");
  await look(v, "sessions", { screen: ["", "-narrow"] });
  await endSession(v);
  await v.says("The session was ended.");
  await look(v, "sessions-alone");

  await elsewhere.go("/-/account/");
  await elsewhere.is("/-/signin?return_to=%2F-%2Faccount%2F", "Sign in");
  await elsewhere.close();
}

async function endSession(v) {
  if (!v.scripts) return v.press("End");
  await v.button("End").click(); // asks first
  const dialog = v.page.getByRole("dialog");
  await look(v, "sessions-question");
  await v.button("Cancel", dialog).click();
  await dialog.waitFor({ state: "detached" });
  await v.button("End").click();
  await v.press("End", dialog);
}

// passwords changes the password, forgets it, and resets it by mail.
export async function passwords(v) {
  const second = "many words that nobody guesses", third = "and yet another long sentence";
  await v.go("/-/account/password");
  await look(v, "password");
  await v.refused(422, async () => {
    await v.fill({ "Present password": "wrong horse battery staple", "New password": second });
    await v.press("Change the password");
    await look(v, "password-refused");
  });
  await v.fill({ "Present password": v.password, "New password": second });
  await v.press("Change the password");
  await v.is("/-/account/", "Your account");
  await v.says("Your password is changed.");
  await signOut(v);

  await v.follow("Forgot the password?");
  await v.is("/-/reset", "Reset your password");
  await look(v, "reset-ask");
  await v.fill({ "E-mail address": v.email });
  await v.press("Send the link");
  await v.is("/-/reset/sent", "Look into your mailbox");
  await look(v, "reset-sent");
  await v.go("/-/dev/mail");
  await look(v, "mail", { snapshot: false, screen: [""] });
  await v.letter("Reset your password");
  await look(v, "mail-message", { screen: [""] });
  await v.arriving(() => v.page.locator("pre a").click());
  const link = v.page.url();
  await look(v, "reset");
  await v.fill({ "New password": third });
  await v.press("Set the password");
  await v.is("/-/signin", "Sign in");
  await v.says("Your new password is set");
  await v.refused(410, async () => {
    await v.go(link);
    await look(v, "reset-used");
  });
  await v.go("/-/signin");
  v.password = third;
  await signIn(v);
}
