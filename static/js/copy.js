/** A button with data-copy puts its text, or the text of the element that data-copy-from names, on the clipboard. */
import { toast } from "./toasts.js";
import { word } from "./words.js";

async function write(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  event.preventDefault();
  event.stopPropagation();
  const from = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
  await write(from ? from.textContent : button.dataset.copy);
  button.focus();
  toast(word("copied"), "check", 2500);
});
