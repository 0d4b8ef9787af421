/**
 * A form or button with data-confirm asks first, in a dialog whose title and button carry the same verb.
 * Focus is on Cancel. A form with data-type-name stays disabled until the name was typed.
 */
const dialog = document.getElementById("confirm");
let go = null;

document.addEventListener("submit", (event) => {
  const form = event.target;
  const asking = event.submitter?.dataset.confirm !== undefined ? event.submitter : form;
  if (!dialog || asking.dataset.confirm === undefined || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter;
  dialog.querySelector("h2").textContent = asking.dataset.title || submitter?.textContent.trim();
  dialog.querySelector("[data-text]").textContent = asking.dataset.confirm;
  dialog.querySelector("[data-go]").textContent = asking.dataset.title || submitter?.textContent.trim();
  go = () => {
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
    delete form.dataset.confirmed;
  };
  dialog.showModal();
  dialog.querySelector("[data-cancel]").focus();
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
