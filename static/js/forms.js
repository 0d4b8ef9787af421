/** The first bad field has the focus; a form is sent once; a filter is sent as it is typed. */
const bad = document.querySelector("[aria-invalid=true], [data-first-error]");
bad?.focus();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 4000);
});

for (const form of document.querySelectorAll("form[data-auto]")) {
  let timer = 0;
  const send = () => {
    form.querySelectorAll("input, select").forEach((input) => { if (!input.value) input.disabled = true; });
    form.requestSubmit();
    form.querySelectorAll("input, select").forEach((input) => { input.disabled = false; });
  };
  form.addEventListener("change", (event) => event.target.matches("select, [type=checkbox], [type=date]") && send());
  form.addEventListener("input", (event) => {
    if (!event.target.matches("input[type=search]")) return;
    clearTimeout(timer);
    timer = setTimeout(send, 250);
  });
}

/** Numbers within data-old-new show "old → new" as they change. */
for (const input of document.querySelectorAll("[data-old-new] input[type=number]")) {
  const show = document.createElement("span");
  show.className = "small muted";
  show.setAttribute("aria-live", "polite");
  input.insertAdjacentElement("afterend", show);
  input.addEventListener("input", () => {
    show.textContent = input.value && input.value !== input.defaultValue ? `${input.defaultValue} → ${input.value}` : "";
  });
}
