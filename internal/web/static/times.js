// Relative times stay right while a page is open, and every time says in its
// title what it is in the reader's own time zone.

// The units, their seconds, and from how many seconds each is used: as the server does.
const units = [["year", 31557600, 63115200], ["month", 2628000, 5184000], ["day", 86400, 172800], ["hour", 3600, 3570], ["minute", 60, 59.5]];

export function times() {
  const lang = document.documentElement.lang;
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
  const local = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "long" });

  const say = (then) => {
    const seconds = (then - Date.now()) / 1000;
    for (const [unit, size, from] of units) {
      if (Math.abs(seconds) >= from) return relative.format(Math.round(seconds / size), unit);
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
