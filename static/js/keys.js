/** `?`, or the entry of one's menu, shows which keys do what. Never in a terminal or a field. */
import { typing } from "./typing.js";

const dialog = document.getElementById("keys");
const entry = document.querySelector("[data-keys-open]");

function open() {
  if (dialog && !document.querySelector("dialog[open]")) dialog.showModal();
}

if (entry) entry.hidden = false;
entry?.addEventListener("click", open);
document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event)) return;
  event.preventDefault();
  open();
});
dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());
