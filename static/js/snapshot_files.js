/** Files of a snapshot or of an environment: a directory at a time, a page of it at a time, each file a download. */
import { ask } from "./confirm.js";
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

/** Sends a change of a file, and shows the directory anew. */
async function change(method, names, options = {}, extra = {}) {
  const answer = await fetch(address("/content", names, extra), {
    method,
    credentials: "same-origin",
    ...options,
    headers: { "X-CSRFToken": csrfToken(), ...options.headers },
  });
  if (answer.ok) show(path);
  else toast((await answer.json()).detail, "alert-triangle");
}

function deleteButton(entry, names) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm";
  button.textContent = place.dataset.delete;
  button.addEventListener("click", () => ask(
    `${place.dataset.delete}: ${entry.name}`,
    place.dataset.deleteAsk,
    () => change("DELETE", names, {}, { recursive: true }),
  ));
  return button;
}

place.querySelector("[data-upload]")?.addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  if (file.size > 2 ** 20) toast(place.dataset.tooLong, "alert-triangle");
  else {
    const raw = base64Of(new TextEncoder().encode(file.name));
    await change("PUT", [...path, [file.name, raw]], { body: file, headers: { "Content-Type": "application/octet-stream" } });
  }
});

function entryRow(entry) {
  const row = document.createElement("tr");
  const names = [...path, [entry.name, entry.name64]];
  const label = document.createElement("span");
  label.append(ICONS[entry.type](), " ");
  if (entry.type === "directory") {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = entry.name;
    button.addEventListener("click", () => show(names));
    label.append(button);
  } else if (entry.type === "file") {
    const link = document.createElement("a");
    link.href = address("/content", names);
    link.textContent = entry.name;
    link.setAttribute("download", "");
    label.append(link);
  } else label.append(entry.target ? `${entry.name} → ${entry.target}` : entry.name);
  cell(row, label, "first break");
  cell(row, entry.type === "file" ? sizeText(entry.size) : "");
  cell(row, entry.mode, "small muted mono");
  cell(row, `${entry.uid}:${entry.gid}`);
  cell(row, new Date(entry.changed_at).toLocaleString(document.documentElement.lang));
  const acts = document.createElement("div");
  acts.className = "row-flex";
  if (entry.type === "directory") {
    const link = document.createElement("a");
    link.className = "btn btn-sm";
    link.href = address("/archive", names);
    link.textContent = place.dataset.archive;
    link.setAttribute("download", "");
    acts.append(link);
  }
  if (place.dataset.delete) acts.append(deleteButton(entry, names));
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
  } catch (error) {
    if (mine === asked) status.textContent = `${failed} ${error.message || ""}`;
  }
}

function show(names) {
  path = names;
  body.replaceChildren();
  drawCrumbs();
  load("");
}
show([]);
