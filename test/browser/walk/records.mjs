// What Troth shows of itself: activity, proofs, promises, and refusals.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { signInForm } from "./account.mjs";
import { until } from "./chromium.mjs";
import { look } from "./look.mjs";

// activity reads the own activity as sentences, narrows it, and takes the
// proof of one event home.
export async function activity(v) {
  await v.go("/-/account/activity");
  await v.is("/-/account/activity", "Your activity");
  for (const sentence of [/signed in/, /tried to sign in/, /changed the password/, /set a new password/]) await v.says(sentence);
  await look(v, v.scripts ? "activity" : "activity-plain", { // the two signed up in different ways
    screen: ["", "-dark", "-narrow"],
  });
  await v.page.getByRole("combobox", { name: "Show" }).selectOption({ label: "What failed or was refused" });
  await v.press("Filter");
  assert.match(v.where(), /show=refused/, "the address holds the filter");
  await v.says(/tried to sign in/);
  await look(v, "activity-refused");
  await v.page.getByLabel("Up to the day").fill("2001-01-01");
  await v.press("Filter");
  await look(v, "activity-none");
  await v.go("/-/account/activity?show=refused");
  await proof(v, v.page.getByRole("listitem").filter({ hasText: "tried to sign in" }).first());
}

// others reads what was done in the organisation, by names.
export async function others(v, whom) {
  await v.go("/-/org/activity");
  await v.is("/-/org/activity", "Activity");
  await v.says(`${v.name} changed the role of ${whom.name} from viewer to member`);
  await v.says(`${whom.name} joined as viewer, invited by ${v.name}`);
  await look(v, "activity-organisation");
}

// proof opens the page of an event, waits for its proof and downloads it.
async function proof(v, entry) {
  await v.follow("Details and proof", entry);
  const button = v.link("Download the proof");
  await until("the proof of the event", async () => {
    if (await button.count() > 0) return true;
    await v.page.reload();
    return false;
  });
  await look(v, "event", { screen: ["", "-narrow"] });
  v.downloading = true;
  const download = v.page.waitForEvent("download");
  await button.click();
  const file = await download;
  v.downloading = false;
  assert.match(file.suggestedFilename(), /^evt_[0-9a-z]{26}\.proof\.json$/);
  const held = JSON.parse(await readFile(await file.path(), "utf8"));
  for (const field of ["leaf", "tenant_inclusion", "tenant_checkpoint", "salt", "inclusion", "checkpoint"]) {
    assert.ok(field in held, `the proof has a field ${field}: ${Object.keys(held)}`);
  }
}

// trust reads the public page as a stranger, until every promise is proven.
export async function trust(v) {
  await until("every promise to be proven", async () => {
    await v.go("/-/trust");
    const status = await v.page.locator(".claim").evaluateAll((all) => all.map((c) => c.dataset.status));
    assert.ok(!status.includes("failing"), "a promise fails: " + await v.page.locator(".claim[data-status=failing] h3").allTextContents());
    return status.length > 0 && status.every((s) => s === "proven");
  }, 180_000);
  // What is promised belongs to the parts and their tests; here it is the page.
  const { claims } = await (await v.context.request.get("/-/trust.json")).json();
  const hide = claims.flatMap((c) => [[c.sentence, "SENTENCE"], [c.not_proven, "LIMITS"], [c.criteria.join(" · "), "CRITERIA"]]);
  await look(v, "trust", { hide, screen: ["", "-dark", "-narrow"] });
  await v.page.getByText("How it is checked, and what was seen").first().click();
  await look(v, "trust-opened", { snapshot: false });
  for (const { id } of v.scripts ? claims : claims.slice(0, 1)) {
    await v.go("/-/trust/" + id);
    await look(v, "trust-claim-" + id, { snapshot: false, screen: id === "B1" ? [""] : [] });
  }
}

// refusals sees what a stranger and a guest see where they may not go.
export async function refusals(v) {
  await v.go("/-/account/sessions");
  await v.is("/-/signin?return_to=%2F-%2Faccount%2Fsessions", "Sign in");
  await look(v, "signin-return");
  await signInForm(v);
  await v.is("/-/account/sessions", "Where you are signed in");
  await v.refused(404, async () => {
    await v.go("/-/nothing");
    await look(v, "error-404", { screen: [""] });
    await v.go("/-/events/evt_00000000000000000000000000");
    await look(v, "error-404-event");
  });
  await v.go("/-/signout");
  await look(v, "signout");
  await v.press("Sign out");
  await v.is("/-/signin", "Sign in");
}

// strangers sees the same as somebody who is not signed in.
export async function strangers(v) {
  await v.go("/");
  await v.is("/-/signin", "Sign in");
  const answer = await v.context.request.get("/", { headers: { Accept: "application/json" }, maxRedirects: 0 });
  assert.equal(answer.status(), 401, "what is no page is answered with 401");
  assert.match(answer.headers()["content-type"], /^application\/problem\+json/);
  await v.go("/-/signout");
  await look(v, "signout-stranger");
  await v.refused(404, async () => {
    await v.go("/-/nothing");
    await look(v, "error-404-stranger");
  });
}
