/** Short notes of what was done. Errors that need reading stand in the page instead. */
import { iconElement } from "./words.js";

const LIFE_MS = 7000;
const region = document.getElementById("toasts");

function arm(note, life) {
  let timer = setTimeout(() => note.remove(), life);
  note.addEventListener("pointerenter", () => clearTimeout(timer));
  note.addEventListener("pointerleave", () => { timer = setTimeout(() => note.remove(), life / 2); });
  note.querySelector("[data-close]")?.addEventListener("click", () => note.remove());
}

export function toast(text, icon = "circle-check", life = LIFE_MS) {
  const note = document.createElement("div");
  note.className = "toast-note";
  const words = document.createElement("span");
  words.className = "grow";
  words.textContent = text;
  note.append(iconElement(icon), words);
  region.append(note);
  arm(note, life);
}

region?.querySelectorAll("[data-toast]").forEach((note) => arm(note, LIFE_MS));
document.body.addEventListener("toast", (event) => toast(event.detail.value || event.detail.text));
