/** A console in the page: `mountTerminal(place, { url, nonce, name })`. */
import { FitAddon } from "../../vendor/xterm/addon-fit.mjs";
import { SearchAddon } from "../../vendor/xterm/addon-search.mjs";
import { Unicode11Addon } from "../../vendor/xterm/addon-unicode11.mjs";
import { WebLinksAddon } from "../../vendor/xterm/addon-web-links.mjs";
import { WebglAddon } from "../../vendor/xterm/addon-webgl.mjs";
import { Terminal } from "../../vendor/xterm/xterm.mjs";
import { Connection } from "./connection.js";
import { harden, linkHandler, openLink } from "./hardening.js";
import { COLOURS, styleSheet } from "./look.js";
import { stampStyles } from "./nonce.js";
import { copy, guardPaste } from "./paste.js";
import { toolbar } from "./toolbar.js";
import { swipe, touchRow } from "./touch.js";
import { say } from "./words.js";

const FONT_KEY = "terminal-font-size";
const ALOUD_KEY = "terminal-screen-reader";
const SMALLEST = 8;
const LARGEST = 32;
const SCROLLBACK_LINES = 10000;
const REASONS = {
  rights: "You may no longer use this console.",
  missing: "This environment is gone.",
  busy: "You have too many consoles open.",
  too_many_consoles: "You have too many consoles open.",
  tenant_consoles: "Too many consoles of this tenant are open.",
};

/** Puts a terminal into `place`; `leave` takes the focus where F6 is pressed. Returns `{ fit, focus, dispose, terminal, connection }`. */
export function mountTerminal(place, { url, nonce, name = "", leave = () => {} }) {
  stampStyles(nonce);
  styleSheet();
  place.classList.add("terminal-place");
  const screen = part("terminal-screen");
  const over = part("terminal-over");
  over.hidden = true;
  const terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace',
    fontSize: rememberedSize(),
    scrollback: SCROLLBACK_LINES,
    minimumContrastRatio: 4.5,
    theme: COLOURS,
    linkHandler: linkHandler(place),
    logLevel: "off", // a broken sequence is what the environment printed, no fault of the page
    macOptionIsMeta: true,
    screenReaderMode: localStorage.getItem(ALOUD_KEY) === "1",
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon((_event, uri) => openLink(place, uri)));
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  harden(terminal);

  const connection = new Connection(url);
  const tellPerson = (text) => showOver(over, text, null);
  const touch = touchRow(terminal, (data) => connection.type(data), guardPaste(place, terminal, tellPerson));
  const bar = toolbar(place, {
    isReadAloud: terminal.options.screenReaderMode,
    readAloud: () => {
      terminal.options.screenReaderMode = !terminal.options.screenReaderMode;
      localStorage.setItem(ALOUD_KEY, terminal.options.screenReaderMode ? "1" : "0");
      return terminal.options.screenReaderMode;
    },
    fontSize: (by) => resizeText(terminal, by, refit),
    search: (text, direction, isTyping) => find(search, text, direction, isTyping),
    searchEnded: () => {
      search.clearDecorations();
      terminal.focus();
    },
  });
  place.append(bar.bar, screen, over, touch.row);
  terminal.open(screen);
  useWebgl(terminal);
  keys(terminal, bar, connection, leave);

  function refit() {
    if (place.hidden || !screen.clientWidth) return;
    fit.fit();
  }
  new ResizeObserver(refit).observe(screen);
  describe(terminal, place);
  swipe(terminal, screen);
  terminal.onResize(({ cols, rows }) => connection.resize(cols, rows));
  listen(terminal, connection, touch, bar, over, name);
  refit();
  return { fit: refit, focus: () => terminal.focus(), dispose: () => dispose(terminal, connection), terminal, connection };
}

function listen(terminal, connection, touch, bar, over, name) {
  let replaying = 0;
  let readOnly = false;
  terminal.onData((data) => {
    // while the past is shown again, its questions ("where is the cursor?") must not be answered once more
    if (replaying || readOnly) return;
    connection.type(touch.hold(data));
  });
  terminal.onBinary((data) => {
    if (!replaying && !readOnly) connection.typeBytes(Uint8Array.from(data, (one) => one.charCodeAt(0)));
  });
  connection.addEventListener("content", ({ detail: { bytes, past, offset } }) => {
    if (past) replaying += 1;
    terminal.write(bytes, () => {
      if (past) replaying -= 1;
      connection.showed(offset);
    });
  });
  connection.addEventListener("latency", ({ detail }) => bar.latency(detail.ms));
  connection.addEventListener("state", ({ detail }) => showState(detail, bar, over, connection));
  connection.addEventListener("message", ({ detail: message }) => {
    if (message.type === "start") {
      readOnly = message.read_only;
      terminal.options.disableStdin = readOnly;
      bar.viewers(message.viewers);
      connection.resize(terminal.cols, terminal.rows);
    } else if (message.type === "viewers") bar.viewers(message.count);
    else if (message.type === "anew") terminal.reset();
    else if (message.type === "gap") note(terminal, say("%s were not kept", size(message.to - message.from)));
    else if (message.type === "error") showOver(over, say(message.message), connection);
    else if (message.type === "exit") note(terminal, say("The shell has ended (%s).", message.code ?? "?"));
    else if (message.type === "state") {
      if (message.state === "running") over.hidden = true;
      else if (!name) showOver(over, say("The environment does not run. Its console goes on here when it starts."), null);
    }
  });
}

function showState({ state, reason, error }, bar, over, connection) {
  bar.state(state);
  if (state === "open") over.hidden = true;
  else if (state === "ended") showOver(over, say("The shell has ended."), connection, say("New shell"));
  else if (state === "refused") showOver(over, say(REASONS[error?.code] || error?.message || REASONS[reason] || "Closed"), connection);
  else if (error) showOver(over, say(error.message), connection);
}

/** A line between what the environment printed and what follows. */
function note(terminal, text) {
  terminal.write(`\r\n\x1b[0;7m ${text} \x1b[0m\r\n`);
}

function size(bytes) {
  if (bytes < 1024) return say("%d bytes", bytes);
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${Math.round(bytes / 1024 / 1024)} MiB`;
}

function showOver(over, text, connection, label = say("Try again")) {
  over.replaceChildren();
  const words = document.createElement("p");
  words.textContent = text;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "btn";
  again.textContent = connection ? label : say("Close");
  again.addEventListener("click", () => {
    over.hidden = true;
    connection?.retryNow();
  });
  over.append(words, again);
  over.hidden = false;
}

/** Says to a screen reader how the terminal is left: Tab and Escape belong to what runs in it. */
function describe(terminal, place) {
  const words = document.createElement("p");
  words.id = `${place.id || "terminal"}-help`;
  words.className = "visually-hidden";
  words.textContent = say("F6 leaves the terminal, Shift+F6 to its buttons; Ctrl+F6 types F6.");
  place.append(words);
  terminal.textarea?.setAttribute("aria-describedby", words.id);
}

/** F6 leaves (WCAG 2.1.2): to the tab, with Shift to the buttons above. Returns whether the key was taken. */
function leaves(event, bar, connection, leave) {
  if (event.key !== "F6" || event.altKey || event.metaKey) return false;
  event.preventDefault();
  if (event.ctrlKey) connection.type("\x1b[17~");
  else if (event.shiftKey) bar.focus();
  else leave();
  return true;
}

function keys(terminal, bar, connection, leave) {
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type === "keydown" && leaves(event, bar, connection, leave)) return false;
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    if (event.code === "KeyC") {
      event.preventDefault();
      copy(terminal.getSelection()).then(() => terminal.focus());
      return false;
    }
    if (event.code === "KeyF") {
      event.preventDefault();
      bar.openSearch();
      return false;
    }
    return event.code !== "KeyV"; // the browser pastes, and `guardPaste` hears of it
  });
}

function find(search, text, direction, isTyping) {
  const options = {
    incremental: isTyping,
    decorations: { matchOverviewRuler: "#f7bd5c", activeMatchColorOverviewRuler: "#ffffff", matchBackground: "#5a4310" },
  };
  if (!text) search.clearDecorations();
  else if (direction > 0) search.findNext(text, options);
  else search.findPrevious(text, options);
}

function useWebgl(terminal) {
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose()); // xterm goes on with its DOM renderer
    terminal.loadAddon(webgl);
  } catch {
    // no WebGL2 here: the DOM renderer stays
  }
}

function rememberedSize() {
  const size = Number(localStorage.getItem(FONT_KEY));
  return size >= SMALLEST && size <= LARGEST ? size : 14;
}

function resizeText(terminal, by, refit) {
  const size = Math.min(LARGEST, Math.max(SMALLEST, terminal.options.fontSize + by));
  terminal.options.fontSize = size;
  localStorage.setItem(FONT_KEY, String(size));
  refit();
}

function dispose(terminal, connection) {
  connection.dispose();
  terminal.dispose();
}

function part(css) {
  const made = document.createElement("div");
  made.className = css;
  return made;
}
