/**
 * Tabs of terminals around `mountTerminal`: the environment's own console, and the named root shells that run
 * inside, wherever they were opened: a phone goes on with what a laptop began.
 */
import { ask } from "./confirm.js";
import { mountTerminal } from "./terminal/index.js";
import { csrfToken, iconElement } from "./words.js";

const tabs = document.getElementById("console-tabs");
const list = tabs.querySelector("[role=tablist]");
const stage = document.getElementById("console-stage");
const { environment, nonce, terminals } = tabs.dataset;
/** What has no first process has no console of its own. */
const hasConsole = !("noConsole" in tabs.dataset);
const key = `terminals-${environment}`;
const base = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/environments/${environment}`;
const open = new Map();

const lastShown = () => sessionStorage.getItem(key) || "";

function show(name) {
  sessionStorage.setItem(key, name);
  for (const [each, { button, place }] of open) {
    const isIt = each === name;
    button.setAttribute("aria-selected", String(isIt));
    button.tabIndex = isIt ? 0 : -1;
    place.hidden = !isIt;
  }
  // Only now is the shown one as high as it will be: while another was there as well, each had half.
  const { button, terminal } = open.get(name);
  terminal.fit?.();
  terminal.focus?.();
  button.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** `name` empty: the console; else a root shell of that name, which outlives this page. */
function add(name) {
  if (open.has(name)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "term";
  button.setAttribute("role", "tab");
  button.textContent = name ? `${tabs.dataset.shellLabel} ${name}` : tabs.dataset.consoleLabel;
  button.addEventListener("click", () => show(name));
  const tab = document.createElement("span");
  tab.className = "term-tab";
  tab.setAttribute("role", "presentation");
  tab.append(button);
  if (name) tab.append(closer(name, button.textContent));
  list.append(tab);
  const place = document.createElement("div");
  place.className = "terminal";
  place.id = `terminal-${name || "console"}`;
  place.setAttribute("role", "tabpanel");
  place.setAttribute("aria-label", button.textContent);
  button.setAttribute("aria-controls", place.id);
  stage.append(place);
  const url = name ? `${base}/terminals/${name}` : `${base}/console`;
  place.hidden = true; // until it is shown: two at once would each have half of the height
  const terminal = mountTerminal(place, { url, nonce, name, leave: () => button.focus() }) || {};
  open.set(name, { button, tab, place, terminal });
}

function closer(name, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button tiny";
  button.title = tabs.dataset.closeLabel;
  button.setAttribute("aria-label", `${tabs.dataset.closeLabel}: ${label}`);
  button.tabIndex = -1; // Delete on the tab does the same
  button.append(iconElement("x"));
  button.addEventListener("click", () => askToEnd(name));
  return button;
}

function askToEnd(name) {
  const { button } = open.get(name);
  ask(`${tabs.dataset.closeLabel}: ${button.textContent}`, tabs.dataset.closeText, () => end(name));
}

async function end(name) {
  const { tab, place, terminal } = open.get(name);
  terminal.dispose?.();
  open.delete(name);
  tab.remove();
  place.remove();
  if (hasConsole) show("");
  else if (open.size) show([...open.keys()][0]);
  await fetch(`${terminals}/${name}/close`, { method: "POST", headers: { "X-CSRFToken": csrfToken() }, redirect: "manual" });
}

tabs.addEventListener("keydown", (event) => {
  const names = [...open.keys()];
  const at = names.findIndex((name) => open.get(name).button === document.activeElement);
  if (at < 0) return;
  if (event.key === "Delete" && names[at]) askToEnd(names[at]);
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  const next = open.get(names[(at + (event.key === "ArrowRight" ? 1 : names.length - 1)) % names.length]);
  next.button.focus();
});
tabs.querySelector("[data-new-terminal]").addEventListener("click", () => {
  let number = 1;
  while (open.has(`t${number}`)) number += 1;
  add(`t${number}`);
  show(`t${number}`);
});
tabs.querySelector("[data-own-window]")?.addEventListener("click", (event) => {
  event.preventDefault();
  const { href, target } = event.currentTarget;
  window.open(href, target, "popup,width=1000,height=680");
});

async function running() {
  try {
    const answer = await fetch(terminals, { credentials: "same-origin" });
    return answer.ok ? (await answer.json()).items.map((one) => one.name) : [];
  } catch {
    return [];
  }
}
const wanted = lastShown();
if (hasConsole) {
  add("");
  show("");
}
for (const name of await running()) add(name);
if (!open.size) add("t1"); // without a console there is a shell to begin with
show(open.has(wanted) ? wanted : [...open.keys()][0]);
