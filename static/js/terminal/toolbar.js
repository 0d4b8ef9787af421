/** Above the screen: state, latency, viewers; search, font size, full screen. */
import { iconElement } from "../words.js";
import { say } from "./words.js";

const STATES = {
  connecting: "Connecting…",
  open: "Connected",
  reconnecting: "Reconnecting…",
  ended: "Ended",
  refused: "Closed",
};

export function toolbar(place, actions) {
  const bar = element("div", "terminal-bar");
  const state = element("span", "terminal-state");
  state.setAttribute("role", "status");
  const latency = element("span", "terminal-latency");
  const viewers = element("span", "terminal-viewers");
  const search = searchBox(actions);
  const find = iconButton("search", say("Search (Ctrl+Shift+F)"), () => search.toggle());
  const smaller = iconButton("text-decrease", say("Smaller text"), () => actions.fontSize(-1));
  const larger = iconButton("text-increase", say("Larger text"), () => actions.fontSize(1));
  const aloud = iconButton("volume", say("Read aloud by a screen reader"), () => aloud.setAttribute("aria-pressed", String(actions.readAloud())));
  aloud.setAttribute("aria-pressed", String(actions.isReadAloud));
  const full = iconButton("maximize", say("Full screen"), () => toggleFullScreen(place));
  bar.append(state, latency, viewers, element("span", "terminal-space"), search.box, find, smaller, larger, aloud, full);
  return {
    bar,
    openSearch: search.open,
    focus: () => find.focus(),
    state(name) {
      bar.dataset.state = name;
      state.textContent = say(STATES[name] || name);
      if (name !== "open") latency.textContent = "";
    },
    latency(ms) {
      latency.textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
      latency.title = say("Time to the environment's node and back");
    },
    viewers(count) {
      viewers.textContent = count > 1 ? say("%d are watching", count) : "";
    },
  };
}

function searchBox(actions) {
  const box = element("span", "terminal-search");
  box.hidden = true;
  const input = document.createElement("input");
  input.type = "search";
  input.setAttribute("aria-label", say("Search in the console"));
  input.placeholder = say("Search");
  input.addEventListener("input", () => actions.search(input.value, 1, true));
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") actions.search(input.value, event.shiftKey ? 1 : -1, false);
    if (event.key === "Escape") toggle();
  });
  const up = iconButton("arrow-up", say("Previous match"), () => actions.search(input.value, -1, false));
  const down = iconButton("arrow-down", say("Next match"), () => actions.search(input.value, 1, false));
  box.append(input, up, down);
  const open = () => {
    box.hidden = false;
    input.focus();
    input.select();
  };
  const toggle = () => {
    if (box.hidden) return open();
    box.hidden = true;
    actions.searchEnded();
  };
  return { box, open, toggle };
}

function toggleFullScreen(place) {
  if (document.fullscreenElement === place) document.exitFullscreen();
  else place.requestFullscreen?.().catch(() => place.classList.toggle("terminal-wide"));
}

function iconButton(icon, label, act) {
  const made = element("button", "terminal-button");
  made.type = "button";
  made.append(iconElement(icon));
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

function element(name, css) {
  const made = document.createElement(name);
  made.className = css;
  return made;
}
