/** Keeps "3 minutes ago" right. The server wrote the first text. */
const format = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always" });
const STEPS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];

function spoken(moment) {
  const seconds = (moment - Date.now()) / 1000;
  for (const [size, unit] of STEPS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(0, "second");
}

function tick() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = spoken(Date.parse(element.dateTime));
    if (element.textContent !== text && Math.abs(Date.parse(element.dateTime) - Date.now()) > 5000) {
      element.textContent = text;
    }
  }
}
setInterval(tick, 5000);
