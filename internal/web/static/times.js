// Relative times stay right while a page is open, and every time says in its
// title what it is in the reader's own time zone.

const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

export function times() {
  const lang = document.documentElement.lang;
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
  const local = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "long" });

  const say = (then) => {
    const seconds = (then - Date.now()) / 1000;
    for (const [unit, size] of units) {
      const n = Math.round(seconds / size);
      if (n !== 0 && Math.abs(seconds) >= size * 0.9) return relative.format(n, unit);
    }
    return null; // under a minute: what the server said will do
  };

  for (const time of document.querySelectorAll("time[datetime*='T']")) {
    const then = Date.parse(time.dateTime);
    if (!Number.isNaN(then)) time.title = local.format(then);
  }
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = say(Date.parse(time.dateTime));
      if (text) time.textContent = text;
    }
  }, 30000);
}
