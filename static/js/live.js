/**
 * One WebSocket per page. An element with data-live="environment:<id> operation:*" is fetched anew (from
 * data-src or this page's address, by its id) and morphed when an event of that kind and id comes.
 * While the socket is away a bar says since when; as it opens, everything is fetched anew.
 */
import { Idiomorph } from "../vendor/idiomorph/idiomorph.mjs";
import { timeOfDay } from "./clock.js";
import htmx from "./htmx.js";
import { hasTyped } from "./keep_form.js";
import { toast } from "./toasts.js";
import { word } from "./words.js";

const FIRST_DELAY_MS = 500;
const MOST_DELAY_MS = 20_000;
const GATHER_MS = 120;
const SHOW_AFTER_MS = 1500;
const PING_EVERY_MS = 10_000;
/** Nothing for so long, with a ping in between: the network vanished without a word. */
const SILENCE_MS = 25_000;

let delay = FIRST_DELAY_MS;
let lastHeard = new Date();
let wasOpen = false;
let lostTimer = 0;
let hasLeft = false;
const waiting = new Map();
const fetching = new Set();

const bar = document.getElementById("connection");

function matches(element, event) {
  return element.dataset.live.split(/\s+/).some((wanted) => {
    const [kind, id] = wanted.split(":");
    return kind === event.kind && (id === "*" || id === event.id);
  });
}

/** Fetch soon; many events within GATHER_MS are one fetch. What a form was refused for stays until it is read. */
export function refresh(element) {
  if (!element.id || waiting.has(element.id) || element.querySelector("[aria-invalid=true], .field-error")) return;
  waiting.set(element.id, setTimeout(() => {
    waiting.delete(element.id);
    fetchPart(element.id);
  }, Number(element.dataset.gather || GATHER_MS)));
}

async function fetchPart(id) {
  const element = document.getElementById(id);
  if (!element) return;
  if (fetching.has(id)) return refresh(element);
  fetching.add(id);
  const source = element.dataset.src;
  try {
    const answer = await fetch(source || location.href, {
      headers: { "HX-Request": "true", "HX-Target": id }, credentials: "same-origin",
    });
    if (answer.redirected && answer.url.includes("/accounts/")) return leave();
    if (!answer.ok) return;
    const text = await answer.text();
    // A filter may have put another list here meanwhile: this answer is not about that one.
    if (document.getElementById(id)?.dataset.src === source) put(id, text);
  } catch {
    // The socket's own reconnecting fetches everything again.
  } finally {
    fetching.delete(id);
  }
}

function put(id, text) {
  const element = document.getElementById(id);
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById(id);
  if (!element || !fresh) return;
  Idiomorph.morph(element, fresh, { ignoreActiveValue: true, callbacks: { beforeAttributeUpdated: keep } });
  htmx.process(element);
  const goesTo = element.dataset.goTo;
  if (goesTo) return location.assign(goesTo);
  element.dispatchEvent(new CustomEvent("wadah:fresh", { bubbles: true }));
}

/** What the reader opened, chose or typed stays as it is. */
function keep(name, node) {
  if (name === "open" && node.nodeName === "DETAILS") return false;
  if (name === "checked" && node.dataset.keep !== undefined) return false;
  return undefined;
}

function everything() {
  document.querySelectorAll("[data-live]").forEach(refresh);
}

/** Signed out: to the sign-in, and back here after it, unless something was typed here, which is not taken out of anyone's hands. */
function leave() {
  if (!hasTyped()) return location.reload();
  if (!hasLeft) toast(word("signedOut"), "alert-triangle", 60_000);
  hasLeft = true;
}

function showLost() {
  if (!bar) return;
  const at = timeOfDay(lastHeard);
  bar.querySelector("span").textContent = `${word("reconnecting")} ${at}`;
  bar.hidden = false;
}

function take(event) {
  if (event.kind === "usage") document.dispatchEvent(new CustomEvent("wadah:usage", { detail: event }));
  document.querySelectorAll("[data-live]").forEach((element) => matches(element, event) && refresh(element));
}

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/events`);
  let ended = false;
  let silence = 0;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => lost({}), SILENCE_MS);
  };
  const pinger = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN) socket.send('{"type": "ping"}');
  }, PING_EVERY_MS);
  /** Once for each socket, whether it says that it closes or says nothing any more. */
  const lost = ({ code }) => {
    if (ended) return;
    ended = true;
    clearInterval(pinger);
    clearTimeout(silence);
    socket.close();
    if (code === 4401) return leave();
    clearTimeout(lostTimer);
    lostTimer = setTimeout(showLost, SHOW_AFTER_MS);
    setTimeout(connect, delay * (0.75 + Math.random() / 2));
    delay = Math.min(delay * 2, MOST_DELAY_MS);
  };
  heard();
  socket.addEventListener("open", () => {
    clearTimeout(lostTimer);
    delay = FIRST_DELAY_MS;
    lastHeard = new Date();
    if (bar) bar.hidden = true;
    // Also the first time: between the answer that made this page and this moment something may have happened.
    everything();
    wasOpen = true;
  });
  socket.addEventListener("message", (message) => {
    heard();
    lastHeard = new Date();
    try {
      const event = JSON.parse(message.data);
      if (event.kind === "refresh" || event.type === "refresh") everything();
      else if (event.kind) take(event);
    } catch {
      // Not one of ours.
    }
  });
  socket.addEventListener("close", lost);
}

if (document.querySelector("[data-live]")) connect();
document.addEventListener("visibilitychange", () => !document.hidden && wasOpen && everything());
