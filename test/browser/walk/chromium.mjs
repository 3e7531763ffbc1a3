// Chromium as Debian ships it, and plain access to a page's document.
//
// Pages forbid eval and every policy of Trusted Types, so nothing here adds a
// script to a page: what looks at a document runs in an isolated world, which
// the page cannot see and which leaves its Content-Security-Policy in force.
import { chromium } from "playwright-core";

const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--font-render-hinting=none"];

export const start = () => chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: quiet });

// until asks again and again until the answer is not falsy.
export async function until(what, ask, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${patience / 1000} s for ${what}`);
    await new Promise((again) => setTimeout(again, 100));
  }
}

// Document evaluates expressions in a world of its own in a page.
export class Document {
  constructor(page, scripts) {
    this.page = page;
    this.scripts = scripts;
  }

  // protocol is a session of the DevTools protocol with the page.
  protocol() {
    return this.session ??= this.page.context().newCDPSession(this.page);
  }

  // running lets timers run while something looks at a document in which no
  // script may. The document was loaded without its scripts, and stays so.
  async running(deed) {
    const disable = async (value) => this.scripts || (await this.protocol()).send("Emulation.setScriptExecutionDisabled", { value });
    await disable(true); // what a session has not set it cannot take back
    await disable(false);
    try {
      return await deed();
    } finally {
      await disable(true);
    }
  }

  // world opens a fresh isolated world in the document that is shown now, after
  // evaluating a script in it, and returns a function that evaluates there.
  async world(script = "") {
    const cdp = await this.protocol();
    const { frameTree } = await cdp.send("Page.getFrameTree");
    const { executionContextId } = await cdp.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "looker" });
    const run = async (expression) => {
      const { result, exceptionDetails } = await cdp.send("Runtime.evaluate", {
        expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    if (script) await run(script);
    return run;
  }
}
