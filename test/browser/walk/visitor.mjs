// A person with a browser of their own. It notices whatever a browser complains
// about: messages on the console (a breach of the Content-Security-Policy is
// one), scripts that fail, requests that fail, answers that nobody expected.
import assert from "node:assert/strict";
import { Document, until } from "./chromium.mjs";

export const wide = { width: 1200, height: 800 };
export const narrow = { width: 320, height: 720 };

export class Visitor {
  // open starts a browser context; scripts says whether pages may run any.
  static async open(browser, origin, { name, email, password = "correct horse battery staple", scripts = true }) {
    const v = new Visitor();
    Object.assign(v, { origin, name, email, password, scripts, complaints: [], expected: new Set() });
    v.context = await browser.newContext({
      baseURL: origin, ignoreHTTPSErrors: true, javaScriptEnabled: scripts, reducedMotion: "reduce",
      viewport: wide, locale: "en-GB", timezoneId: "UTC", acceptDownloads: true,
    });
    v.context.setDefaultTimeout(30_000);
    v.page = await v.context.newPage();
    v.document = new Document(v.page, scripts);
    v.watch();
    return v;
  }

  watch() {
    const complain = (what) => this.complaints.push(`${this.name} at ${this.where()}: ${what}`);
    this.page.on("console", (m) => {
      if (m.type() !== "error" && m.type() !== "warning") return;
      const refused = /the server responded with a status of (\d+)/.exec(m.text());
      if (refused && this.expected.has(Number(refused[1]))) return;
      complain(`${m.type()} on the console: ${m.text()}`);
    });
    this.page.on("pageerror", (e) => complain(`a script failed: ${e.message}`));
    this.page.on("requestfailed", (r) => {
      if (r.url().endsWith("/mark.svg") && r.failure()?.errorText === "net::ERR_ABORTED") return; // the icon comes after the page; whoever leaves at once ends that
      if (r.url().endsWith("/-/signin/passkey/options") && r.failure()?.errorText === "net::ERR_ABORTED") return; // the page asks for a challenge by itself
      if (!this.downloading) complain(`${r.method()} ${r.url()} failed: ${r.failure()?.errorText}`);
    });
    this.page.on("response", (r) => {
      if (r.request().isNavigationRequest() && r.status() < 300 || r.status() >= 400) this.response = r;
      if (r.status() >= 400 && !this.expected.has(r.status())) complain(`${r.request().method()} ${r.url()} was answered with ${r.status()}`);
    });
  }

  // where is the path of the page that is shown, without the secrets in it.
  where() {
    return this.page.url().replace(this.origin, "").replace(/(?<=\/|%2F)[A-Za-z0-9_-]{43}/g, "TOKEN");
  }

  // refused lets the server answer with a status while something is done.
  async refused(status, deed) {
    this.expected.add(status);
    try {
      await deed();
      assert.equal(this.response.status(), status, `${this.where()} is answered with ${status}`);
    } finally {
      this.expected.delete(status);
    }
  }

  // arriving does something that leads to a new document, and waits for it.
  async arriving(deed) {
    const loaded = this.page.waitForEvent("load");
    loaded.catch(() => {}); // the deed's own error says more
    await deed();
    await loaded;
  }

  go(path) {
    return this.page.goto(path.startsWith("https:") ? path : this.origin + path);
  }

  button(name, within = this.page.locator("main")) {
    return within.getByRole("button", { name, exact: typeof name === "string" });
  }

  link(name, within = this.page.locator("main")) {
    return within.getByRole("link", { name, exact: typeof name === "string" });
  }

  press(name, within) {
    return this.arriving(() => this.button(name, within).click());
  }

  follow(name, within) {
    return this.arriving(() => this.link(name, within).click());
  }

  // fill types into the fields with these labels.
  async fill(fields) {
    for (const [label, value] of Object.entries(fields)) await this.page.getByLabel(label, { exact: true }).fill(value);
  }

  // says holds the page to a sentence in its content.
  async says(text) {
    await this.page.locator("main").getByText(text).first().waitFor();
  }

  // is holds the page to a path and a heading.
  async is(path, heading) {
    assert.equal(this.where(), path);
    await this.page.getByRole("heading", { level: 1, name: heading, exact: typeof heading === "string" }).waitFor();
  }

  // letter opens the newest mail to the visitor with a subject, and waits for it.
  async letter(subject) {
    const row = this.page.getByRole("row").filter({ hasText: this.email }).filter({ hasText: subject }).first();
    await until(`the mail "${subject}" to ${this.email}`, async () => {
      await this.go("/-/dev/mail");
      return await row.count() > 0;
    });
    await this.follow(subject, row);
  }

  // mailed follows the link in the newest mail with a subject.
  async mailed(subject) {
    await this.letter(subject);
    await this.arriving(() => this.page.locator("pre a").click());
  }

  // report says where the visitor is, what stands there, and what was wrong.
  async report() {
    const text = await this.page.locator("main").innerText({ timeout: 1000 }).catch(() => "nothing that could be read");
    return `${this.name} is at ${this.where()}, where it says:\n${text.slice(0, 1500)}\n${this.complaints.join("\n")}`;
  }

  // close ends the visit and reports everything that the browser complained about.
  async close() {
    this.closed = true;
    await this.context.close();
    if (this.complaints.length > 0) throw new Error(`${this.complaints.length} complaints:\n${this.complaints.join("\n")}`);
  }
}
