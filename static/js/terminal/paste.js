/** Copy and paste as people are used to, with a question before many lines are typed. */
import { say } from "./words.js";

const MAX_PASTE_BYTES = 1024 * 1024;
const SHOWN_LINES = 12;

export const linesOf = (text) => text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n");

/** Catches pasting before xterm sees it. */
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
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog");
    dialog.className = "terminal-paste";
    const title = document.createElement("h2");
    title.id = `paste-${Date.now()}`;
    title.textContent = say("Paste %d lines?", lines.length);
    dialog.setAttribute("aria-labelledby", title.id);
    const shown = document.createElement("pre");
    shown.textContent = lines.slice(0, SHOWN_LINES).join("\n") + (lines.length > SHOWN_LINES ? "\n…" : "");
    const row = document.createElement("div");
    row.className = "terminal-paste-buttons";
    const no = button(say("Cancel"), () => dialog.close("no"));
    const yes = button(say("Paste"), () => dialog.close("yes"));
    yes.className = "btn btn-primary";
    no.className = "btn";
    row.append(no, yes);
    dialog.append(title, shown, row);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    place.append(dialog);
    dialog.showModal();
    yes.focus();
  });
}

function button(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
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
