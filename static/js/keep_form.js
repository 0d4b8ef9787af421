/**
 * A form whose session had ended leads to the sign-in; afterwards its page has again what was typed. Kept in this
 * tab alone, and only what a person typed or chose: no password, no file, nothing hidden.
 */
import { toast } from "./toasts.js";
import { word } from "./words.js";

const KEY = "sent-form";
const KEPT = "input:not([type=password], [type=hidden], [type=file], [data-row]), textarea, select";
const isEntrance = document.querySelector(".entrance form") !== null;

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Whether a person typed or chose something in this page's forms that was not sent yet. */
export function hasTyped() {
  return [...document.querySelectorAll("main form[method=post]")].some((form) =>
    [...form.querySelectorAll(KEPT)].some((one) => one.matches("select")
      ? [...one.options].some((option) => option.selected !== option.defaultSelected)
      : one.value !== one.defaultValue || one.checked !== one.defaultChecked));
}

const action = (form) => new URL(form.action, location.href).pathname;

document.addEventListener("submit", ({ target: form, defaultPrevented }) => {
  if (defaultPrevented || form.method !== "post" || isEntrance || !form.querySelector("textarea, input:not([type=hidden])")) return;
  const values = [...form.querySelectorAll(KEPT)].filter((one) => one.name)
    .map((one) => [one.name, one.matches("[type=radio], [type=checkbox]") ? one.checked : one.value, one.value]);
  sessionStorage.setItem(KEY, JSON.stringify({ page: location.pathname, action: action(form), values }));
});

function restore(form, values) {
  for (const [name, value, own] of values) {
    for (const input of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (input.matches("[type=radio], [type=checkbox]")) {
        if (input.value === own) input.checked = value;
      } else if (input.type !== "hidden") input.value = value;
    }
  }
  form.dispatchEvent(new Event("input", { bubbles: true }));
  toast(word("kept"), "check");
}

const kept = read();
if (kept && isEntrance) {
  if (!kept.interrupted) sessionStorage.setItem(KEY, JSON.stringify({ ...kept, interrupted: true }));
} else if (kept) {
  sessionStorage.removeItem(KEY);
  const form = kept.interrupted && location.pathname === kept.page
    && [...document.querySelectorAll("main form")].find((one) => action(one) === kept.action);
  if (form) restore(form, kept.values);
}
