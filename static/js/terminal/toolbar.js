/** Above the screen: state, latency, viewers; search, font size, full screen. */
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
  const find = button("⌕", say("Search (Ctrl+Shift+F)"), () => search.toggle());
  const smaller = button("A−", say("Smaller text"), () => actions.fontSize(-1));
  const larger = button("A+", say("Larger text"), () => actions.fontSize(1));
  const full = button("⛶", say("Full screen"), () => toggleFullScreen(place));
  bar.append(state, latency, viewers, element("span", "terminal-space"), search.box, find, smaller, larger, full);
  return {
    bar,
    openSearch: search.open,
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
  const up = button("↑", say("Previous match"), () => actions.search(input.value, -1, false));
  const down = button("↓", say("Next match"), () => actions.search(input.value, 1, false));
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

function button(text, label, act) {
  const made = element("button", "terminal-button");
  made.type = "button";
  made.textContent = text;
  made.title = label;
  made.setAttribute("aria-label", /^\w/.test(text) ? `${text}: ${label}` : label); // a name holds what is read
  made.addEventListener("click", act);
  return made;
}

function element(name, css) {
  const made = document.createElement(name);
  made.className = css;
  return made;
}
