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
  ["Paste", "paste"],
];
const NAMES = { "↑": "Up", "↓": "Down", "←": "Left", "→": "Right" };

/** `hold(data)` gives what is typed with the held keys applied. `paste` is null where there is no clipboard. */
export function touchRow(terminal, type, paste) {
  const row = document.createElement("div");
  row.className = "terminal-keys";
  row.setAttribute("role", "toolbar");
  row.setAttribute("aria-label", say("Special keys"));
  const held = { ctrl: null, alt: null };
  for (const [label, sends] of KEYS) {
    if (sends === "paste" && !paste) continue;
    const key = document.createElement("button");
    key.type = "button";
    key.textContent = sends === "paste" ? say("Paste") : label;
    if (NAMES[label]) key.setAttribute("aria-label", say(NAMES[label]));
    if (sends in held) {
      key.setAttribute("aria-pressed", "false");
      held[sends] = key;
    }
    // pointerdown would take the focus from the screen and close the keyboard
    key.addEventListener("pointerdown", (event) => event.preventDefault());
    key.addEventListener("click", () => {
      if (sends in held) toggle(key);
      else if (sends === "paste") paste();
      else type(arrow(sends, terminal));
      terminal.focus();
    });
    row.append(key);
  }
  return { row, hold: (data) => applied(data, held) };
}

/** A finger scrolls as a wheel does: through what was printed, or in the program that asked for the mouse. */
export function swipe(terminal, screen) {
  let last = null;
  screen.addEventListener("touchstart", ({ touches }) => {
    last = touches.length === 1 ? touches[0].clientY : null;
  }, { passive: true });
  screen.addEventListener("touchmove", (event) => {
    if (last === null || event.touches.length !== 1) return;
    const { clientX, clientY, target } = event.touches[0];
    if (Math.abs(last - clientY) < screen.clientHeight / terminal.rows / 2) return;
    target.dispatchEvent(new WheelEvent("wheel", { deltaY: last - clientY, clientX, clientY, bubbles: true, cancelable: true }));
    last = clientY;
    event.preventDefault();
  }, { passive: false });
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
