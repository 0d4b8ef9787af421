/** Tabs of terminals around `mountTerminal`: the environment's own console, and named root shells. */
import { mountTerminal } from "./terminal/index.js";

const tabs = document.getElementById("console-tabs");
const stage = document.getElementById("console-stage");
const { environment, nonce } = tabs.dataset;
const key = `terminals-${environment}`;
const base = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/environments/${environment}`;
const open = new Map();

const remembered = () => JSON.parse(sessionStorage.getItem(key) || "[]");
const remember = () => sessionStorage.setItem(key, JSON.stringify([...open.keys()].filter((name) => name)));

function show(name) {
  for (const [each, { button, place, terminal }] of open) {
    const isIt = each === name;
    button.setAttribute("aria-selected", String(isIt));
    button.tabIndex = isIt ? 0 : -1;
    place.hidden = !isIt;
    if (isIt) {
      terminal.fit?.();
      terminal.focus?.();
    }
  }
}

/** `name` empty: the console; else a root shell of that name, which outlives this page. */
function add(name) {
  if (open.has(name)) return show(name);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "term";
  button.setAttribute("role", "tab");
  button.textContent = name ? `${tabs.dataset.shellLabel} ${name}` : tabs.dataset.consoleLabel;
  button.addEventListener("click", () => show(name));
  tabs.querySelector("[role=tablist]").append(button);
  const place = document.createElement("div");
  place.className = "terminal";
  place.id = `terminal-${name || "console"}`;
  button.setAttribute("aria-controls", place.id);
  stage.append(place);
  const url = name ? `${base}/terminals/${name}` : `${base}/console`;
  const terminal = mountTerminal(place, { url, nonce, title: button.textContent, environment, name }) || {};
  open.set(name, { button, place, terminal });
  remember();
  show(name);
}

tabs.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  const names = [...open.keys()];
  const at = names.findIndex((name) => open.get(name).button === document.activeElement);
  if (at < 0) return;
  const next = open.get(names[(at + (event.key === "ArrowRight" ? 1 : names.length - 1)) % names.length]);
  next.button.focus();
});
tabs.querySelector("[data-new-terminal]").addEventListener("click", () => {
  let number = 1;
  while (open.has(`t${number}`)) number += 1;
  add(`t${number}`);
});
const before = remembered(); // the first tab is remembered at once, in place of those
add("");
before.forEach(add);
show("");
