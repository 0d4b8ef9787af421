/** A button that puts a path of a snapshot back into the environment, after a question. */
import { ask } from "./confirm.js";
import { toast } from "./toasts.js";
import { csrfToken } from "./words.js";

/** `place` has the address and the words: data-put-back, data-put-back-word, -ask and -done. */
export function putBackButton(place, name, path64) {
  const { putBack, putBackWord, putBackAsk, putBackDone } = place.dataset;
  if (!putBack) return "";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm";
  button.textContent = putBackWord;
  button.addEventListener("click", () => ask(putBackWord, `${name}: ${putBackAsk}`, async () => {
    button.disabled = true;
    try {
      const answer = await fetch(putBack, {
        method: "POST",
        credentials: "same-origin",
        headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
        body: JSON.stringify({ path64 }),
      });
      const found = await answer.json();
      toast(answer.ok ? `${putBackDone} ${name}` : found.detail, answer.ok ? "check" : "alert-triangle");
    } finally {
      button.disabled = false;
    }
  }));
  return button;
}
