/** Copy and paste as people are used to, with a question before many lines are typed. */
import { ask } from "./question.js";
import { say } from "./words.js";

const MAX_PASTE_BYTES = 1024 * 1024;
const SHOWN_LINES = 12;

export const linesOf = (text) => text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n");

/** Catches pasting before xterm sees it; returns what pastes the clipboard, or null where pages may not read it. */
export function guardPaste(place, terminal, tellPerson) {
  place.addEventListener(
    "paste",
    async (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      await paste(event.clipboardData?.getData("text/plain") || "", place, terminal, tellPerson);
    },
    { capture: true },
  );
  if (!navigator.clipboard?.readText) return null;
  return async () => {
    try {
      await paste(await navigator.clipboard.readText(), place, terminal, tellPerson);
    } catch {
      tellPerson(say("The browser doesn't let this page read the clipboard."));
    }
  };
}

async function paste(text, place, terminal, tellPerson) {
  if (!text) return;
  if (text.length > MAX_PASTE_BYTES) {
    tellPerson(say("That is more than 1 MB; send it as a file instead."));
    return;
  }
  const lines = linesOf(text);
  if (lines.length > 1 && !(await confirmLines(place, lines))) {
    terminal.focus();
    return;
  }
  terminal.focus();
  terminal.paste(text);
}

function confirmLines(place, lines) {
  return ask(place, {
    title: say("Paste %d lines?", lines.length),
    text: lines.slice(0, SHOWN_LINES).join("\n") + (lines.length > SHOWN_LINES ? "\n…" : ""),
    yes: say("Paste"),
  });
}

/** Works on plain http too, where there is no `navigator.clipboard`. */
export async function copy(text) {
  if (!text) return false;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "terminal-copy";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
