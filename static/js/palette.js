/** Ctrl-K: go to anything, do the common things. `/` too; `c` creates, `g e` and `g o` go. Never in a terminal. */
import { typing } from "./typing.js";
import { csrfToken, iconElement, word } from "./words.js";

const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
let items = [];
let at = 0;
let asked = 0;
let prefix = "";

function open() {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  input.value = "";
  load();
}

async function load() {
  const mine = ++asked;
  const answer = await fetch(`${document.body.dataset.palette}?q=${encodeURIComponent(input.value)}`);
  if (mine !== asked || !answer.ok) return;
  items = (await answer.json()).items;
  at = 0;
  draw();
}

function draw() {
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
  if (!items.length) {
    const none = document.createElement("li");
    none.setAttribute("role", "option");
    none.setAttribute("aria-disabled", "true");
    none.textContent = word("nothing");
    list.append(none);
  }
  mark();
}

function mark() {
  [...list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
  list.children[at]?.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", items.length ? `palette-${at}` : "");
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
input?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    at = items.length ? (at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length : 0;
    mark();
  } else if (event.key === "Enter") {
    event.preventDefault();
    run(items[at]);
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
