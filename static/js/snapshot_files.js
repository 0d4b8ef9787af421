/** Files of a snapshot or of an environment: a directory at a time, a page of it at a time, each file a download. */
import { dateAndTime } from "./clock.js";
import { ARCHIVE, choosing } from "./files_chosen.js";
import { editing } from "./files_editor.js";
import { keys } from "./files_keys.js";
import { searching } from "./files_search.js";
import { trash } from "./files_trash.js";
import { uploading } from "./files_uploads.js";
import { putBackButton } from "./put_back.js";
import { toast } from "./toasts.js";
import { csrfToken, iconElement } from "./words.js";

const place = document.getElementById("snapshot-files");
const { api, snapshot, top: topName, failed } = place.dataset;
const [crumbs, body, status, more] = ["crumbs", "entries", "status", "next"].map((one) => place.querySelector(`[data-${one}]`));
const ICONS = {
  directory: () => iconElement("folder"),
  file: () => iconElement("file-description"),
  link: () => iconElement("link"),
  other: () => iconElement("plug"),
};
/** What is edited here. */
const TEXT_BYTES = 2 ** 20;
/** Of what is shown, by name as base64. */
const entries = new Map();
/** Names of the directories down to the shown one, each as `[text, base64 of its bytes]`. */
let path = [];
let asked = 0;

const bytesOf = (base64) => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
const base64Of = (bytes) => btoa(String.fromCharCode(...bytes));

/** The path of these names as base64: a name may hold bytes that are no text. */
function joined(names) {
  const parts = names.flatMap(([, raw]) => [47, ...bytesOf(raw)]);
  return base64Of(parts);
}

function address(kind, names, extra = {}) {
  const query = new URLSearchParams({ ...(snapshot ? { snapshot } : {}), ...(names.length ? { path64: joined(names) } : {}), ...extra });
  return `${api}${kind}?${query}`;
}

function sizeText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let size = bytes;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${size.toLocaleString(document.documentElement.lang, { maximumFractionDigits: at ? 1 : 0 })} ${units[at]}`;
}

function cell(row, content, css = "small muted") {
  const made = document.createElement("td");
  made.className = css;
  made.append(content);
  row.append(made);
}

/** Sends a change of a file, and shows the directory anew; whether it was taken. */
async function change(method, names, options = {}, extra = {}) {
  const answer = await fetch(address("/content", names, extra), {
    method,
    credentials: "same-origin",
    ...options,
    headers: { "X-CSRFToken": csrfToken(), ...options.headers },
  });
  if (answer.ok) show(path);
  else toast((await answer.json()).detail, "alert-triangle");
  return answer.ok;
}

document.querySelectorAll("dialog[id^=files-] [data-close]").forEach((one) => one.addEventListener("click", () => one.closest("dialog").close()));

/** A dialog with one line to write; `act` gets what was written. */
function askFor(title, verb, value, act) {
  const dialog = document.getElementById("files-name");
  const line = dialog.querySelector("input");
  dialog.querySelector("h2").textContent = title;
  line.value = value;
  dialog.querySelector(".btn-primary").textContent = verb;
  dialog.querySelector("form").onsubmit = () => { if (line.value.trim()) act(line.value.trim()); };
  dialog.showModal();
  const stem = value.lastIndexOf(".");
  line.setSelectionRange(0, stem > 0 ? stem : value.length);
}

function iconButton(icon, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button tiny";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.append(iconElement(icon));
  button.addEventListener("click", act);
  return button;
}

function entryRow(entry) {
  const row = document.createElement("tr");
  const names = [...path, [entry.name, entry.name64]];
  row.tabIndex = -1;
  entries.set(entry.name64, entry);
  const label = document.createElement("span");
  if (hand) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.className = "form-check-input";
    box.dataset.row = "";
    box.value = entry.name64;
    box.setAttribute("aria-label", entry.name);
    label.append(box, " ");
  }
  label.append(ICONS[entry.type](), " ");
  if (entry.type === "directory") {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = entry.name;
    button.dataset.open = "";
    button.addEventListener("click", () => show(names));
    label.append(button);
  } else if (entry.type === "file") {
    const link = document.createElement("a");
    link.href = address("/content", names);
    link.textContent = entry.name;
    link.dataset.open = "";
    link.setAttribute("download", "");
    label.append(link);
  } else label.append(entry.target ? `${entry.name} → ${entry.target}` : entry.name);
  cell(row, label, "first break");
  cell(row, entry.type === "file" ? sizeText(entry.size) : "", "small muted pair");
  cell(row, entry.mode, "small muted mono pair");
  cell(row, `${entry.owner || entry.uid}:${entry.group || entry.gid}`, "small muted pair");
  cell(row, dateAndTime(entry.changed_at), "small muted pair");
  const acts = document.createElement("div");
  acts.className = "acts";
  if (entry.type === "directory") {
    const link = document.createElement("a");
    link.className = "icon-button tiny";
    link.href = address("/archive", names);
    link.title = `${place.dataset.archive}: ${entry.name}`;
    link.setAttribute("aria-label", link.title);
    link.append(iconElement("download"));
    link.setAttribute("download", "");
    acts.append(link);
  }
  if (hand && entry.type === "file" && entry.size <= TEXT_BYTES) {
    acts.append(iconButton("pencil", `${place.dataset.edit}: ${entry.name}`, () => view.edit(entry, names)));
  }
  if (hand && entry.type === "file" && ARCHIVE.test(entry.name)) {
    acts.append(iconButton("package", `${place.dataset.unpack}: ${entry.name}`, () => hand.act("unpack", [entry])));
  }
  if (hand) acts.append(iconButton("trash", `${place.dataset.delete}: ${entry.name}`, () => hand.act("delete", [entry])));
  if (entry.type !== "other") acts.append(putBackButton(place, entry.name, joined(names)));
  cell(row, acts, "corner");
  return row;
}

function drawCrumbs() {
  crumbs.replaceChildren();
  [[topName], ...path].forEach(([name], depth) => {
    if (depth) crumbs.append(" / ");
    const isLast = depth === path.length;
    const one = document.createElement(isLast ? "b" : "button");
    one.textContent = name;
    if (!isLast) {
      one.type = "button";
      one.className = "link-button";
      one.addEventListener("click", () => show(path.slice(0, depth)));
    }
    crumbs.append(one);
  });
}

async function load(after) {
  const mine = ++asked;
  more.hidden = true;
  try {
    const answer = await fetch(address("", path, after ? { after } : {}), { credentials: "same-origin" });
    const found = await answer.json();
    if (mine !== asked) return;
    if (!answer.ok) throw new Error(found.detail);
    body.append(...found.items.map(entryRow));
    status.textContent = `${body.children.length} / ${found.total}`;
    more.hidden = !found.next;
    more.onclick = () => load(found.next);
    document.dispatchEvent(new Event("wadah:fresh"));
  } catch (error) {
    if (mine === asked) status.textContent = `${failed} ${error.message || ""}`;
  }
}

function show(names) {
  path = names;
  body.replaceChildren();
  entries.clear();
  drawCrumbs();
  load("");
}

/** A name in the shown directory as the base64 of its path. */
const inHere = (name) => joined([...path, [name, base64Of(new TextEncoder().encode(name))]]);

const view = {
  place,
  api,
  failed,
  entries,
  joined,
  base64Of,
  change,
  sizeText,
  askFor,
  inHere,
  address,
  cell,
  iconOf: (type) => ICONS[type](),
  show,
  path: () => path,
  refresh: () => show(path),
  up: () => { if (path.length) show(path.slice(0, -1)); },
};
const hand = place.dataset.sendTo ? choosing(view) : null;
keys(view, hand);
if (hand) {
  trash(view, hand);
  uploading(view);
  view.edit = editing(view, toast);
}
searching(view);
show([]);
