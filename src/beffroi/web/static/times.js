// Lets relative times tick, in the language of the page.
const language = document.documentElement.lang;
const format = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

function tick() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time.ago")) {
    const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each * 1.5) ?? UNITS.at(-1);
    const text = format.format(Math.round(seconds / size), unit);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1_000);
document.addEventListener("put", tick);
