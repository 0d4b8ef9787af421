/**
 * A form or button with data-confirm asks first, in a dialog whose title and button carry the same verb; so does a
 * button whose form has data-confirm-<its value>. Focus is on Cancel. A form with data-type-name stays disabled until the name was typed.
 */
const dialog = document.getElementById("confirm");
let go = null;
/** More of them say no more. */
const NAMES_SHOWN = 12;

/** Asks; `act` runs when the answer is the verb. */
export function ask(title, text, act) {
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("[data-text]").textContent = text;
  dialog.querySelector("[data-go]").textContent = title;
  go = act;
  dialog.showModal();
  dialog.querySelector("[data-cancel]").focus();
}

/** How many rows are chosen, and the first of their names. */
function chosenNames() {
  const names = [...document.querySelectorAll("input[data-row]:checked")].map((row) => row.dataset.name || row.value);
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  const all = Number(document.querySelector("[data-bulk] [data-count]")?.textContent || names.length);
  return `${all}: ${shown}${all > Math.min(names.length, NAMES_SHOWN) ? ", …" : ""}`;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const submitter = event.submitter;
  const text = submitter?.dataset.confirm ?? form.getAttribute(`data-confirm-${submitter?.value}`) ?? form.dataset.confirm;
  if (!dialog || text === undefined || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const title = submitter?.dataset.title || form.dataset.title || submitter?.textContent.trim() || submitter?.title;
  ask(title, submitter?.closest("[data-bulk]") ? `${text} ${chosenNames()}` : text, () => {
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
    delete form.dataset.confirmed;
  });
}, true);

dialog?.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
dialog?.querySelector("[data-go]").addEventListener("click", () => {
  dialog.close();
  go?.();
});

function checkName(input) {
  const button = input.form.querySelector("button:not([type=button])");
  button.disabled = input.value.trim() !== input.dataset.typeName;
}
document.querySelectorAll("[data-type-name]").forEach((input) => {
  checkName(input);
  input.addEventListener("input", () => checkName(input));
});
