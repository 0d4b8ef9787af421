/**
 * Plays what a console printed, from an asciicast: play and pause, a place to jump to, a speed. Waits of more than
 * MOST_WAIT_S are cut to that, since an idle night is nothing to watch.
 */
import { FitAddon } from "../vendor/xterm/addon-fit.mjs";
import { Terminal } from "../vendor/xterm/xterm.mjs";
import { harden } from "./terminal/hardening.js";
import { COLOURS, styleSheet } from "./terminal/look.js";
import { stampStyles } from "./terminal/nonce.js";
import { iconElement } from "./words.js";

const MOST_WAIT_S = 2;
const bar = document.getElementById("replay");
const screen = document.getElementById("replay-screen");
const part = (name) => bar.querySelector(`[data-${name}]`);
const { cast, nonce, play: playWord, pause: pauseWord, empty, failed } = bar.dataset;

stampStyles(nonce);
styleSheet();
const terminal = new Terminal({ allowProposedApi: true, disableStdin: true, convertEol: false, fontSize: 14, theme: COLOURS, scrollback: 10000, logLevel: "off", minimumContrastRatio: 4.5 });
const fit = new FitAddon();
terminal.loadAddon(fit);
harden(terminal);
terminal.open(screen);
fit.fit();
addEventListener("resize", () => fit.fit());

/** [second, text] pairs, waits cut. */
function parse(text) {
  const pairs = [];
  let at = 0;
  let before = 0;
  for (const line of text.split("\n").slice(1)) {
    if (!line) continue;
    const [second, kind, data] = JSON.parse(line);
    if (kind !== "o") continue;
    at += Math.min(Math.max(second - before, 0), MOST_WAIT_S);
    before = second;
    pairs.push([at, data]);
  }
  return pairs;
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
let pairs = [];
let next = 0;
let now = 0;
let frame = 0;
let last = 0;
const length = () => pairs.at(-1)?.[0] ?? 0;

function show() {
  part("seek").value = now;
  part("at").textContent = `${clock(now)} / ${clock(length())}`;
}

/** Writes all up to this second; from the beginning when it lies before what is shown. */
function goTo(second) {
  now = Math.min(second, length());
  if (next > 0 && pairs[next - 1][0] > now) {
    terminal.reset();
    next = 0;
  }
  let text = "";
  while (next < pairs.length && pairs[next][0] <= now) text += pairs[next++][1];
  if (text) terminal.write(text);
  show();
}

function say(icon, word) {
  const button = part("toggle");
  button.replaceChildren(iconElement(icon));
  button.title = word;
  button.setAttribute("aria-label", word);
}

function stop() {
  cancelAnimationFrame(frame);
  frame = 0;
  say("player-play", playWord);
}

function tick(time) {
  goTo(now + ((time - last) / 1000) * Number(part("speed").value));
  last = time;
  if (now >= length()) stop();
  else frame = requestAnimationFrame(tick);
}

function start() {
  if (now >= length()) goTo(-1);
  say("player-pause", pauseWord);
  last = performance.now();
  frame = requestAnimationFrame(tick);
}

part("toggle").addEventListener("click", () => (frame ? stop() : start()));
part("seek").addEventListener("input", (event) => goTo(Number(event.target.value)));

try {
  const answer = await fetch(cast, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  pairs = parse(await answer.text());
  part("seek").max = length();
  part("seek").disabled = part("toggle").disabled = pairs.length === 0;
  // a page that opens shows how it ended, as a reader of a log expects; playing begins at the beginning
  if (pairs.length) goTo(length());
  else terminal.write(empty);
} catch {
  terminal.write(failed);
}
