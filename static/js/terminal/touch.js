/** Keys that a touch keyboard lacks. Ctrl and Alt hold for the next key. */
import { say } from "./words.js";

const ESC = "\x1b";
const KEYS = [
  ["Esc", ESC],
  ["Tab", "\t"],
  ["Ctrl", "ctrl"],
  ["Alt", "alt"],
  ["↑", `${ESC}[A`],
  ["↓", `${ESC}[B`],
  ["←", `${ESC}[D`],
  ["→", `${ESC}[C`],
  ["/", "/"],
  ["|", "|"],
  ["-", "-"],
  ["~", "~"],
];
const NAMES = { "↑": "Up", "↓": "Down", "←": "Left", "→": "Right" };

/** `hold(data)` gives what is typed with the held keys applied. */
export function touchRow(terminal, type) {
  const row = document.createElement("div");
  row.className = "terminal-keys";
  row.setAttribute("role", "toolbar");
  row.setAttribute("aria-label", say("Special keys"));
  const held = { ctrl: null, alt: null };
  for (const [label, sends] of KEYS) {
    const key = document.createElement("button");
    key.type = "button";
    key.textContent = label;
    if (NAMES[label]) key.setAttribute("aria-label", say(NAMES[label]));
    if (sends in held) {
      key.setAttribute("aria-pressed", "false");
      held[sends] = key;
    }
    // pointerdown would take the focus from the screen and close the keyboard
    key.addEventListener("pointerdown", (event) => event.preventDefault());
    key.addEventListener("click", () => {
      if (sends in held) toggle(key);
      else type(arrow(sends, terminal));
      terminal.focus();
    });
    row.append(key);
  }
  return { row, hold: (data) => applied(data, held) };
}

const isPressed = (key) => key.getAttribute("aria-pressed") === "true";
const toggle = (key) => key.setAttribute("aria-pressed", String(!isPressed(key)));

/** Programs that ask for it get arrows as ESC O A (DECCKM). */
const arrow = (sends, terminal) =>
  terminal.modes.applicationCursorKeysMode && /^\x1b\[[A-D]$/.test(sends) ? sends.replace("[", "O") : sends;

function applied(data, held) {
  let result = data;
  if (isPressed(held.ctrl) && data.length === 1) {
    const code = data.toUpperCase().charCodeAt(0);
    if (code >= 63 && code <= 95) result = String.fromCharCode(code === 63 ? 127 : code & 31);
    toggle(held.ctrl);
  }
  if (isPressed(held.alt)) {
    result = ESC + result;
    toggle(held.alt);
  }
  return result;
}
