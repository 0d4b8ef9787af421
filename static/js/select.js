/** Choosing rows: all of the page, all that match, a range with Shift, and the bar with what can be done to them. */
let last = null;
/** All that the filter finds are meant, on whatever page they are. */
let isMatch = false;

function count() {
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  const onPage = document.querySelectorAll("input[data-row]").length;
  const chosen = document.querySelectorAll("input[data-row]:checked").length;
  const match = bar.querySelector("[data-match]");
  const isPage = chosen > 0 && chosen === onPage;
  isMatch &&= isPage && Boolean(match);
  bar.hidden = chosen === 0;
  bar.querySelector("[data-count]").textContent = isMatch ? match.dataset.match : chosen;
  bar.querySelector("[name=all]").value = isMatch ? "1" : "";
  if (match) {
    match.hidden = isMatch || !isPage;
    bar.querySelector("[data-match-page]").hidden = !isMatch;
  }
  offer(bar);
  const all = document.querySelector("[data-all]");
  if (all) {
    const rows = document.querySelectorAll("input[data-row]").length;
    all.checked = chosen > 0 && chosen === rows;
    all.indeterminate = chosen > 0 && chosen < rows;
  }
}

/** Only what may be done to every chosen row. */
function offer(bar) {
  const rows = [...document.querySelectorAll("input[data-row]:checked")].map((row) => (row.dataset.may ?? "").split(" "));
  for (const one of bar.querySelectorAll("[data-needs]")) {
    one.hidden = !rows.every((may) => may.includes(one.dataset.needs));
  }
}

document.addEventListener("click", (event) => {
  const toggle = event.target.closest?.("[data-match], [data-match-page]");
  if (!toggle) return;
  isMatch = toggle.dataset.match !== undefined;
  count();
  document.querySelector(isMatch ? "[data-match-page]" : "[data-match]")?.focus();
});

document.addEventListener("click", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.type !== "checkbox") return;
  const rows = [...document.querySelectorAll("input[data-row]")];
  if (box.dataset.all !== undefined) rows.forEach((row) => { row.checked = box.checked; });
  else if (box.dataset.row !== undefined) {
    if (event.shiftKey && last && rows.includes(last)) {
      const [from, to] = [rows.indexOf(last), rows.indexOf(box)].sort((a, b) => a - b);
      rows.slice(from, to + 1).forEach((row) => { row.checked = box.checked; });
    }
    last = box;
  } else return;
  count();
});
// Enter would press the form's first button; what is typed belongs to the one beside it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.closest?.("[data-bulk] input")) return;
  event.preventDefault();
  event.target.parentElement.querySelector("button").click();
});
/** What was chosen and typed when the bar was used: put back when the page says that something was refused. */
const KEY = "bulk-chosen";

document.addEventListener("submit", ({ target: form, defaultPrevented }) => {
  if (defaultPrevented || !form.querySelector("[data-bulk]")) return;
  const ids = [...form.querySelectorAll("input[data-row]:checked")].map((row) => row.value);
  const typed = [...form.querySelectorAll("[data-bulk] input:not([type=hidden])")].map((input) => [input.name, input.value]);
  sessionStorage.setItem(KEY, JSON.stringify({ path: location.pathname, ids, typed, isMatch }));
});

function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) || "null");
  sessionStorage.removeItem(KEY);
  if (!kept || kept.path !== location.pathname || !document.querySelector("main [role=alert]")) return;
  for (const id of kept.ids) {
    const row = document.querySelector(`input[data-row][value="${CSS.escape(id)}"]`);
    if (row) row.checked = true;
  }
  isMatch = Boolean(kept.isMatch);
  for (const [name, value] of kept.typed) {
    const input = document.querySelector(`[data-bulk] input[name="${CSS.escape(name)}"]`);
    if (input) input.value = value;
  }
}
restore();
document.addEventListener("wadah:fresh", count);
document.addEventListener("htmx:afterSettle", count);
count();
