// Passkeys, with an authenticator that lives in the browser: made, used to sign
// in alone and after the password, asked for again, renamed, removed. And what
// is said where a device refuses, or no script runs.
import assert from "node:assert/strict";
import { byMail, signOut } from "./account.mjs";
import { until } from "./chromium.mjs";
import { look } from "./look.mjs";
import { Visitor } from "./visitor.mjs";

// Authenticator is one inside of the computer, with a fingerprint to unlock it.
class Authenticator {
  static async in(visitor) {
    const a = new Authenticator();
    a.cdp = await visitor.document.protocol();
    await a.cdp.send("WebAuthn.enable");
    const { authenticatorId } = await a.cdp.send("WebAuthn.addVirtualAuthenticator", { options: {
      protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    } });
    a.authenticatorId = authenticatorId;
    return a;
  }

  // touched says whether somebody is there to touch it.
  touched(enabled) {
    return this.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: this.authenticatorId, enabled });
  }

  // knows says whether it recognises the finger.
  knows(isUserVerified) {
    return this.cdp.send("WebAuthn.setUserVerified", { authenticatorId: this.authenticatorId, isUserVerified });
  }

  async credentials() {
    const { credentials } = await this.cdp.send("WebAuthn.getCredentials", { authenticatorId: this.authenticatorId });
    return credentials;
  }
}

const button = "Sign in with a passkey";

// inside waits until the visitor is signed in, which leads to the application.
async function inside(v) {
  await until("the application", () => v.where() === "/");
  await v.go("/-/account/");
  await v.is("/-/account/", "Your account");
}

export async function passkeys(v, browser) {
  const device = await Authenticator.in(v);
  await byMail(v);
  await add(v, device);
  await alone(v, device);
  await second(v, device);
  await refusing(v, device);
  await manage(v, device);
  await v.close();
  await older(browser, v);
  await plain(browser, v);
}

// offered waits until the browser has asked the device for what it offers where
// the address is typed. Untouched, the device leaves that waiting.
const offered = (v) => v.page.locator("form[data-asked=conditional]").waitFor();

async function add(v, device) {
  await v.go("/-/account/passkeys");
  await v.is("/-/account/passkeys", "Your passkeys");
  await look(v, "passkeys-none");
  await v.page.getByRole("link", { name: "Add a passkey" }).first().click();
  await v.is("/-/account/passkeys/new", "Add a passkey");
  await look(v, "passkey-add", { screen: ["", "-dark", "-narrow"] });
  await v.fill({ "Name (optional)": "Laptop" });
  await v.press("Add a passkey");
  await v.is("/-/account/passkeys", "Your passkeys");
  await v.says("The passkey Laptop is added.");
  const [credential, ...more] = await device.credentials();
  assert.deepEqual(more, []);
  assert.equal(credential.rpId, "localhost");
  assert.ok(credential.isResidentCredential, "it can be found without an address");
  assert.equal(Buffer.from(credential.userHandle, "base64").length, 64);
}

// alone signs in twice without a password: with the button, by keyboard, and by
// what the browser offers where the address is typed.
async function alone(v, device) {
  await device.touched(false);
  await signOut(v);
  await offered(v);
  await device.touched(true);
  await v.arriving(async () => {
    await v.button(button).focus();
    await v.page.keyboard.press("Enter");
  });
  await inside(v);
  const top = v.page.getByRole("banner");
  await top.locator("details.menu.end > summary").click();
  await v.button("Sign out", top).click(); // and the browser offers the passkey at once
  await inside(v);
}

// second signs in with the password, and then needs the passkey.
async function second(v, device) {
  await device.touched(false);
  await signOut(v);
  await v.fill({ "E-mail address": v.email, "Password": v.password });
  await v.press("Sign in");
  await v.is("/-/signin/code", "One more step");
  await look(v, "code-passkey", { screen: ["", "-dark", "-narrow"] });
  await device.touched(true);
  await v.arriving(() => v.button("Use a passkey").click());
  await inside(v);
}

// refusing has the device refuse, and sees what the page says.
async function refusing(v, device) {
  await v.go("/-/account/passkeys/new");
  await v.button("Add a passkey").click();
  await v.page.getByRole("alert").getByText("This device has a passkey of your account already.").waitFor();
  await look(v, "passkey-add-refused");
  await device.knows(false);
  await device.touched(false);
  await signOut(v);
  await offered(v);
  await device.touched(true);
  await v.button(button).click();
  await v.page.getByRole("alert").getByText("Nothing was signed:").waitFor();
  await v.button(button).and(v.page.locator(":not([aria-disabled])")).waitFor();
  await look(v, "signin-passkey-refused", { screen: ["-narrow"] });
  await device.knows(true);
  await v.arriving(() => v.button(button).click());
  await inside(v);
}

async function manage(v, device) {
  await v.go("/-/account/passkeys");
  await look(v, "passkeys", { screen: ["", "-dark", "-narrow"] });
  await v.follow(/^Rename/);
  await v.page.getByRole("heading", { level: 1, name: "Rename a passkey" }).waitFor();
  await look(v, "passkey-rename");
  await v.fill({ "Name (optional)": "Old laptop" });
  await v.press("Rename");
  await v.says("The passkey is renamed.");
  await v.follow(/^Remove/);
  await v.page.getByRole("heading", { level: 1, name: "Remove a passkey?" }).waitFor();
  await look(v, "passkey-remove", { screen: ["", "-narrow"] });
  await v.press("Remove the passkey");
  await v.says("The passkey Old laptop is removed.");
  await look(v, "passkeys-removed");
  // The browser tells the device, where it can.
  const tells = await v.page.evaluate(() => Boolean(PublicKeyCredential.signalAllAcceptedCredentials));
  if (tells) await until("the device to forget the passkey", async () => (await device.credentials()).length === 0);
  await device.touched(false);
  await signOut(v);
}

// older is a browser that cannot read and write the JSON of passkeys itself, nor
// offer them where an address is typed.
async function older(browser, who) {
  const v = await Visitor.open(browser, who.origin, { ...who, scripts: true });
  await v.context.addInitScript(() => {
    const has = window.PublicKeyCredential;
    for (const name of ["parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON", "isConditionalMediationAvailable", "signalAllAcceptedCredentials", "signalCurrentUserDetails"]) has[name] = undefined;
    has.prototype.toJSON = undefined;
  });
  const device = await Authenticator.in(v);
  await v.go("/-/signin?return_to=/-/account/passkeys/new");
  await v.fill({ "E-mail address": v.email, "Password": v.password });
  await v.press("Sign in");
  await v.is("/-/account/passkeys/new", "Add a passkey");
  await v.press("Add a passkey");
  await v.says("The passkey Device is added.");
  assert.equal((await device.credentials()).length, 1);
  await signOut(v);
  await v.press(button);
  await inside(v);
  await v.go("/-/account/passkeys");
  await v.follow(/^Remove/);
  await v.press("Remove the passkey");
  await signOut(v);
  await v.close();
}

// plain is without scripts: no button that cannot work, and a sentence why.
async function plain(browser, who) {
  const v = await Visitor.open(browser, who.origin, { ...who, scripts: false });
  await v.go("/-/signin?return_to=/-/account/passkeys/new");
  assert.equal(await v.button(button).count(), 0);
  await v.fill({ "E-mail address": v.email, "Password": v.password });
  await v.press("Sign in");
  await v.is("/-/account/passkeys/new", "Add a passkey");
  await v.says("Passkeys need JavaScript");
  await look(v, "passkey-add-plain");
  await v.close();
}
