/** A question over the terminal: what is asked, what it is about as plain text, and two buttons. */
import { say } from "./words.js";

/** True for yes; Escape and Cancel are no. */
export function ask(place, { title, text, yes }) {
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog");
    dialog.className = "terminal-paste";
    const heading = document.createElement("h2");
    heading.id = `question-${Date.now()}`;
    heading.textContent = title;
    dialog.setAttribute("aria-labelledby", heading.id);
    const shown = document.createElement("pre");
    shown.textContent = text;
    const row = document.createElement("div");
    row.className = "terminal-paste-buttons";
    const cancel = button(say("Cancel"), () => dialog.close("no"));
    const go = button(yes, () => dialog.close("yes"));
    go.className = "btn btn-primary";
    cancel.className = "btn";
    row.append(cancel, go);
    dialog.append(heading, shown, row);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    place.append(dialog);
    dialog.showModal();
    go.focus();
  });
}

function button(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}
