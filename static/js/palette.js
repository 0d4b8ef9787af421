/** Ctrl-K: go to anything, do the common things. `/` too; `c` creates, `g e` and `g o` go. Never in a terminal. */
import { typing } from "./typing.js";
import { csrfToken, iconElement, word } from "./words.js";

const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
let items = [];
let at = 0;
let asked = 0;
/** Until what was typed last has its answer: Enter waits for it, and acts on nothing older. */
let loading = Promise.resolve();
let prefix = "";
const said = dialog?.querySelector("[role=status]");

function open() {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  input.value = "";
  items = [];
  draw();
  load();
}

function load() {
  loading = find(++asked);
}

async function find(mine) {
  let found = null;
  try {
    const answer = await fetch(`${document.body.dataset.palette}?q=${encodeURIComponent(input.value)}`);
    if (answer.redirected) return location.assign(answer.url);
    if (answer.ok) found = (await answer.json()).items;
  } catch { /* no network: said below */ }
  if (mine !== asked) return;
  items = found ?? [];
  at = 0;
  draw(found ? "nothing" : "failed");
  said.textContent = items.length ? `${items.length} ${word("results")}` : word(found ? "nothing" : "failed");
}

function draw(empty = "") {
  list.replaceChildren(...items.map((item, index) => {
    const row = document.createElement("li");
    row.id = `palette-${index}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(index === at));
    const hint = document.createElement("span");
    hint.className = "muted";
    hint.textContent = item.hint;
    const label = document.createElement("span");
    label.className = "truncate";
    label.textContent = item.label;
    row.append(iconElement(item.icon), label, hint);
    row.addEventListener("click", () => run(item));
    return row;
  }));
  if (!items.length && empty) {
    const none = document.createElement("li");
    none.setAttribute("role", "option");
    none.setAttribute("aria-disabled", "true");
    none.textContent = word(empty);
    list.append(none);
  }
  mark();
}

function mark() {
  [...list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
  list.children[at]?.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-expanded", String(items.length > 0));
  if (items.length) input.setAttribute("aria-activedescendant", `palette-${at}`);
  else input.removeAttribute("aria-activedescendant");
}

function run(item) {
  if (!item) return;
  if (!item.post) return location.assign(item.url);
  const form = document.createElement("form");
  form.method = "post";
  form.action = item.url;
  for (const [name, value] of Object.entries({ ...item.post, csrfmiddlewaretoken: csrfToken(), next: location.pathname })) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}

input?.addEventListener("input", load);
/** How far a key moves among the results. */
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
input?.addEventListener("keydown", async (event) => {
  if (event.isComposing) return;
  const step = STEPS[event.key];
  if (step) {
    event.preventDefault();
    const last = items.length - 1;
    at = Math.abs(step) > 1 ? Math.max(0, Math.min(last, at + step)) : (at + step + items.length) % (items.length || 1);
    mark();
  } else if (event.key === "Enter") {
    event.preventDefault();
    await loading;
    if (dialog.open) run(items[at]);
  }
});
dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());
document.addEventListener("click", (event) => event.target.closest("[data-palette-open]") && open());

const GO = { e: "/environments/", o: "/operations/", i: "/images/", a: "/addresses/", n: "/nodes/", t: "/tenants/" };
document.addEventListener("keydown", (event) => {
  if (event.target.closest?.(".terminal, .xterm")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return dialog?.open ? dialog.close() : open();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
  if (prefix === "g" && GO[event.key]) return location.assign(GO[event.key]);
  prefix = event.key === "g" ? "g" : "";
  if (event.key === "/") {
    event.preventDefault();
    (document.querySelector("main input[type=search]") || { focus: open }).focus();
  } else if (event.key === "c" && document.querySelector("[data-create]")) {
    location.assign(document.querySelector("[data-create]").href);
  }
});
