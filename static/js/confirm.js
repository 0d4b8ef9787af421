/**
 * A form or button with data-confirm asks first, in a dialog whose title and button carry the same verb; so does a
 * button whose form has data-confirm-<its value>. Focus is on Cancel. A form with data-type-name stays disabled until the name was typed.
 */
const dialog = document.getElementById("confirm");
let go = null;

/** Asks; `act` runs when the answer is the verb. */
export function ask(title, text, act) {
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("[data-text]").textContent = text;
  dialog.querySelector("[data-go]").textContent = title;
  go = act;
  dialog.showModal();
  dialog.querySelector("[data-cancel]").focus();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const submitter = event.submitter;
  const text = submitter?.dataset.confirm ?? form.getAttribute(`data-confirm-${submitter?.value}`) ?? form.dataset.confirm;
  if (!dialog || text === undefined || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(submitter?.dataset.title || form.dataset.title || submitter?.textContent.trim() || submitter?.title, text, () => {
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
  const button = input.form.querySelector("[type=submit]");
  button.disabled = input.value.trim() !== input.dataset.typeName;
}
document.querySelectorAll("[data-type-name]").forEach((input) => {
  checkName(input);
  input.addEventListener("input", () => checkName(input));
});
