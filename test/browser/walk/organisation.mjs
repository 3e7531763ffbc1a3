// Working together: the application, an organisation, people and their roles.
import assert from "node:assert/strict";
import { signInForm, signUpForm } from "./account.mjs";
import { look } from "./look.mjs";

export const organisation = "Analytical Engines";

// note writes a note in the application, which knows who it is.
export async function note(v, title, text) {
  await v.go("/");
  await v.fill({ "Title": title, "Text": text });
  await v.press("Keep the note");
  await v.page.getByRole("heading", { name: title }).waitFor();
}

// application sees the notes as one person alone in a personal space.
export async function application(v) {
  await v.go("/");
  await v.page.getByRole("banner").getByText(v.name).first().waitFor();
  await look(v, "notes-empty");
  await note(v, "For myself", "Nobody else reads this.");
  await look(v, "notes-personal");
  await v.follow("For myself");
  await look(v, "note");
  await v.go("/about");
  await look(v, "notes-about");
}

// found creates an organisation, invites somebody as a viewer, and writes a
// note there.
export async function found(v, whom) {
  await v.go("/-/org/");
  await look(v, "organisations-none");
  await v.follow("Create an organisation");
  await look(v, "organisation-new");
  await v.fill({ "Name": organisation });
  await v.press("Create");
  await v.is("/-/org/", organisation);
  await look(v, "organisation", { screen: [""] });
  for (const [page, name] of [["name", "organisation-name"], ["leave", "organisation-leave"], ["people", "people-alone"]]) {
    await v.go("/-/org/" + page);
    await look(v, name);
  }
  await v.go("/-/org/invite");
  await look(v, "invite");
  await v.fill({ "E-mail address": whom.email });
  await v.page.getByLabel("Viewer").check();
  await v.press("Send the invitation");
  await v.is("/-/org/people", "People");
  await look(v, "people-invited");
  await note(v, "Engine", "The engine weaves algebraic patterns.");
}

// join accepts the invitation: its mail leads to sign-up, the mail of that
// leads to sign-in, and that back to the invitation.
export async function join(v, by) {
  await v.mailed(`Invitation to ${organisation}`);
  await look(v, "invitation-stranger");
  await v.follow("Create an account");
  await look(v, "signup-invited");
  await signUpForm(v);
  await v.mailed("Confirm your e-mail address");
  await v.press("It was me: make the account");
  await signInForm(v);
  await v.is("/-/invitations/TOKEN", `Invitation to ${organisation}`);
  await v.says(`${by.name} invites you`);
  await look(v, "invitation");
  await v.press("Accept");
  await v.is("/-/org/", organisation);
  await look(v, "organisation-viewer");
  await v.go("/-/org/roles");
  await look(v, "roles", { screen: [""] });
}

// obey changes what somebody may do while they work: the very next request
// obeys.
export async function obey(owner, v) {
  await v.go("/");
  await v.page.getByRole("heading", { name: "Engine" }).waitFor();
  assert.equal(await v.button("Keep the note").count(), 0, "a viewer is offered no form");
  await look(v, "notes-viewer");
  await v.refused(403, async () => {
    await v.go("/-/org/people");
    await look(v, "error-403");
  });

  await role(owner, v, "Member");
  await raised(v);
  await note(v, "Written at once", "A member may write.");
  await look(v, "notes-member", { screen: ["", "-dark", "-narrow"] });

  await owner.go("/-/org/people");
  await look(owner, "people", { screen: ["", "-dark", "-narrow"] });
  await owner.follow(v.name);
  await look(owner, "person");
  await owner.follow("Remove");
  await look(owner, "person-remove");
  await owner.press("Remove");
  await owner.says(`${v.name} was removed.`);
  await look(owner, "people-removed");

  await v.go("/");
  assert.equal(await v.page.getByRole("heading", { name: "Engine" }).count(), 0, "the notes of the organisation are gone for who was removed");
}

async function role(owner, v, to) {
  await owner.go("/-/org/people");
  await owner.page.getByLabel(`Role of ${v.name}`, { exact: true }).selectOption({ label: to });
  await owner.press(`Save the role of ${v.name}`);
  await owner.says("The role was changed.");
}

// raised is signed out by having got more power, and comes back with it.
async function raised(v) {
  await v.go("/-/account/");
  await v.is("/-/signin?return_to=%2F-%2Faccount%2F", "Sign in");
  await signInForm(v);
  await v.is("/-/account/", "Your account");
  await v.says("You were given more power in an organisation.");
  await v.go("/-/switch");
  await v.press(`Work there: ${organisation}`);
}

// change goes back and forth between a personal space and an organisation, by
// the menu and by the page for it.
export async function change(v) {
  await v.go("/-/org/");
  const tenants = v.page.getByRole("banner").locator("details.menu").first();
  await tenants.locator("summary").click();
  await v.press(/Personal/, tenants);
  await v.is("/-/org/", "Organisations");
  await look(v, "organisations");
  await v.go("/-/switch");
  await look(v, "switch");
  await v.press(`Work there: ${organisation}`);
  await v.go("/-/org/");
  await v.is("/-/org/", organisation);
}
