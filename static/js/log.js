/**
 * The lines of a log, as they come: read from one answer that stays open, and asked for anew from the last line on
 * when that ends. At most MOST_LINES stand in the page. It scrolls along while its end is in sight.
 */
const MOST_LINES = 5000;
const FIRST_DELAY_MS = 1000;
const MOST_DELAY_MS = 30_000;
/** `2026-01-31T12:00:00.123456789+00:00 stdout text` */
const LINE = /^(\S{35}) (stdout|stderr) (.*)$/;

/** What terminals are told by: colours, cursor, titles. */
const TOLD = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]/g;

const place = document.getElementById("log");
const form = document.getElementById("log-form");
const shown = place.querySelector("[data-lines]");
const said = place.querySelector("[data-said]");
const toggle = place.querySelector("[data-toggle]");
const { from, empty, failed, stop: stopWord, follow: followWord } = place.dataset;

const clock = new Intl.DateTimeFormat(document.documentElement.lang || "en", {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
let newest = "";
let reading = null;
let delay = FIRST_DELAY_MS;

function element(line) {
  const found = LINE.exec(line);
  const row = document.createElement("div");
  const text = document.createElement("span");
  text.textContent = (found ? found[3] : line).replace(TOLD, "");
  if (found) {
    const at = document.createElement("time");
    at.dateTime = `${found[1].slice(0, 23)}${found[1].slice(29)}`;
    at.title = found[1];
    at.textContent = clock.format(new Date(at.dateTime));
    row.append(at);
    row.className = found[2];
  }
  row.append(text);
  return row;
}

function add(lines) {
  if (!lines.length) return;
  const isAtEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
  shown.append(...lines.slice(-MOST_LINES).map(element));
  while (shown.childElementCount > MOST_LINES) shown.firstElementChild.remove();
  newest = lines.at(-1).slice(0, 35);
  said.textContent = "";
  if (isAtEnd) shown.scrollTop = shown.scrollHeight;
}

function address() {
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  asked.set("format", "lines");
  asked.set("follow", "1");
  if (newest) {
    asked.set("since", newest);
    asked.delete("tail");
  }
  return `${from}?${asked}`;
}

/** Lines from one answer on; those of the very moment of the last one are known already. */
async function read(signal) {
  const answer = await fetch(address(), { credentials: "same-origin", signal });
  if (answer.redirected) return location.reload();
  if (!answer.ok) {
    const text = answer.headers.get("content-type")?.includes("json") ? (await answer.json()).detail : "";
    throw new Error(text || failed);
  }
  delay = FIRST_DELAY_MS;
  const known = newest;
  const decoder = new TextDecoder();
  let rest = "";
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    add(known ? lines.filter((line) => line.slice(0, 35) > known) : lines);
  }
}

async function follow() {
  const mine = new AbortController();
  reading = mine;
  said.textContent = shown.childElementCount ? "" : empty;
  while (reading === mine) {
    try {
      await read(mine.signal);
    } catch (problem) {
      if (reading !== mine) return;
      said.textContent = problem instanceof TypeError ? failed : problem.message;
      delay = Math.min(delay * 2, MOST_DELAY_MS);
    }
    await new Promise((done) => { setTimeout(done, delay); });
  }
}

function halt() {
  reading?.abort();
  reading = null;
}

toggle.addEventListener("click", () => {
  const goesOn = reading === null;
  if (goesOn) follow();
  else halt();
  toggle.setAttribute("aria-pressed", String(goesOn));
  toggle.textContent = goesOn ? stopWord : followWord;
});
for (const [name, css] of [["times", "no-times"], ["wrap", "no-wrap"]]) {
  const box = place.querySelector(`[data-${name}]`);
  box.addEventListener("change", () => shown.classList.toggle(css, !box.checked));
}
addEventListener("pagehide", halt);
addEventListener("pageshow", ({ persisted }) => { if (persisted && toggle.getAttribute("aria-pressed") === "true") follow(); });
follow();
