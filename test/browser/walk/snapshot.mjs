// What a screen reader is told, page by page, kept under snapshots/. Whatever
// changes from one run to the next is replaced by a word for it, so that a
// difference is a change of the page. UPDATE=1 writes them anew.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const directory = path.resolve(import.meta.dirname, "../snapshots");
const update = Boolean(process.env.UPDATE);
const used = new Set();

const span = "(?:\\d+ (?:second|minute|hour|day|month|year)s?)";
const volatile = [
  [/https:\/\/localhost:\d+/g, "ORIGIN"],
  [/\b([a-z]{3})_(?:…[0-9a-z]{6}|[0-9a-z]{26})/g, "$1_ID"],
  [/\b[0-9a-f]{7}…[0-9a-f]{6}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{16}\b/g, "DIGEST"],
  [/\/notes\/[A-Z2-7]{26}/g, "/notes/ID"],
  [/localhost\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/g, "KEY"],
  [/(?<=\/(?:admission|confirm|invitations|reset)\/)[A-Za-z0-9_-]{43}/g, "TOKEN"],
  [/otpauth:\/\/\S+/g, "APP"],
  [/data:text\/plain\S+(?: \S+)*/g, "FILE"],
  [/\b(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\b/g, "KEY"],
  [/\b[0-9a-hjkmnp-tv-z]{4}(?:-[0-9a-hjkmnp-tv-z]{4}){3}\b/g, "CODE"],
  [/[A-Za-z0-9+/]{43,}=*/g, "TOKEN"], // in a checkpoint
  [/\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC|\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d/g, "TIME"],
  [/\d{1,2} [A-Z][a-z]{2} \d{4}|\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?/g, "DATE"],
  [new RegExp(`just now|${span} ago|in ${span}`, "g"), "TIME"],
  [/[a-z]+(?:\.[a-z]+)*@example\.org/g, "ADDRESS"],
];

// settle replaces what changes. Some buttons exist only where scripts run:
// without them the page must say the same, so that one snapshot holds both.
export function settle(snapshot, hide = []) {
  for (const [text, word] of hide) snapshot = snapshot.replaceAll(text.trim(), word);
  snapshot = snapshot.replace(/^(\s*- )'(.*)'(:?)$/gm, "$1$2$3"); // quoted or not, as the hidden text needs it
  snapshot = snapshot.replace(/\/url: .*/g, (line) => readable(line));
  for (const [pattern, word] of volatile) snapshot = snapshot.replace(pattern, word);
  const lines = snapshot.split("\n").filter((line) => !/^\s*- button "(?:Copy|Show|Sign in with a passkey)"/.test(line));
  return lines.map((line) => line.replace(/(?<!level=|[A-Za-z])\d+(?:\.\d+)*(?![A-Za-z])/g, (n) => n === "127.0.0.1" ? n : "N")).join("\n") + "\n";
}

// readable undoes the escapes of an address within an address.
function readable(address) {
  const once = decodeURIComponent(address);
  return once === address ? once : readable(once);
}

// compare returns what differs from the kept snapshot, as lines.
export function compare(name, snapshot, hide) {
  const file = path.join(directory, name + ".yml");
  const now = settle(snapshot, hide);
  const first = !used.has(name);
  used.add(name);
  if (update && first) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, now);
    return [];
  }
  if (!existsSync(file)) return [`there is no ${name}.yml among the snapshots; run the test with UPDATE=1 and look at what it writes`];
  const was = readFileSync(file, "utf8");
  return was === now ? [] : [`it says something else than ${name}.yml (UPDATE=1 writes it anew):`, ...difference(was.split("\n"), now.split("\n"))];
}

// leftover lists the snapshots that no page was compared with; an update removes them.
export function leftover() {
  const rest = readdirSync(directory).filter((f) => f.endsWith(".yml") && !used.has(f.slice(0, -4)));
  if (update) for (const f of rest) rmSync(path.join(directory, f));
  return update ? [] : rest;
}

// difference lists the lines that only one of two texts has, in order.
function difference(was, now) {
  const longest = Array.from({ length: was.length + 1 }, () => new Array(now.length + 1).fill(0));
  for (let i = was.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      longest[i][j] = was[i] === now[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const out = [];
  for (let i = 0, j = 0; i < was.length || j < now.length;) {
    if (i < was.length && j < now.length && was[i] === now[j]) { i++; j++; }
    else if (j >= now.length || (i < was.length && longest[i + 1][j] >= longest[i][j + 1])) out.push("- " + was[i++]);
    else out.push("+ " + now[j++]);
  }
  return out.slice(0, 40);
}
