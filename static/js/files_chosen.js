/** What is done to the chosen files of an environment: renamed, moved, copied, given to another owner, deleted. */
import { toast } from "./toasts.js";
import { csrfToken } from "./words.js";

const bar = document.querySelector("#files-bar");
const paste = document.querySelector("#snapshot-files [data-paste]");
/** Names of what can be unpacked. */
export const ARCHIVE = /\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$/i;
/** What was cut or copied, until it is put somewhere: paths as base64. */
let held = null;

/** `view`: the list as it is shown: its element, entries by name as base64, path, and how paths are written. */
export function choosing(view) {
  const { place } = view;
  const words = place.dataset;

  /** Sends it to one of the addresses; whether anything was done. What was refused is said. */
  async function post(verb, body) {
    const answer = await fetch(`${view.api}/${verb}`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      body: JSON.stringify(body),
    });
    const found = await answer.json();
    if (!answer.ok) toast(found.detail, "alert-triangle");
    else {
      for (const one of found.failed?.slice(0, 3) ?? []) toast(`${one.path}: ${one.detail}`, "alert-triangle");
      view.refresh();
    }
    return answer.ok;
  }

  const boxes = () => [...place.querySelectorAll("input[data-row]:checked")];
  const chosen = () => boxes().map((one) => view.entries.get(one.value)).filter(Boolean);
  const paths = (entries) => entries.map((one) => view.joined([...view.path(), [one.name, one.name64]]));
  const named = (entries) => (entries.length === 1 ? entries[0].name : `${entries[0].name}, … (${entries.length})`);

  function hold(verb, entries) {
    held = { verb, paths64: paths(entries), from: view.joined(view.path()) };
    paste.hidden = false;
    paste.querySelector("[data-held]").textContent = named(entries);
    none();
  }

  async function putDown() {
    if (!held) return;
    const { verb, paths64, from } = held;
    const into64 = view.joined(view.path());
    const body = { paths64, if_exists: verb === "copy" && from === into64 ? "keep_both" : "refuse" };
    if (into64) body.into64 = into64;
    else body.into = "";
    if (await post(verb, body)) {
      held = null;
      paste.hidden = true;
    }
  }

  function none() {
    boxes().forEach((one) => { one.checked = false; });
    document.dispatchEvent(new Event("wadah:fresh"));
  }

  function dialogOf(id, entries, act) {
    const dialog = document.getElementById(id);
    dialog.querySelector("[data-names]").textContent = named(entries);
    const form = dialog.querySelector("form");
    form.reset();
    form.onsubmit = () => { act(new FormData(form)); };
    dialog.showModal();
    return dialog;
  }

  const acts = {
    rename([entry]) {
      view.askFor(`${words.rename}: ${entry.name}`, words.rename, entry.name, (name) => {
        if (name !== entry.name) post("move", { paths64: paths([entry]), name });
      });
    },
    cut: (entries) => hold("move", entries),
    copy: (entries) => hold("copy", entries),
    pack(entries) {
      const name = `${entries.length === 1 ? entries[0].name : view.path().at(-1)?.[0] ?? "root"}.tar.gz`;
      view.askFor(`${words.pack}: ${named(entries)}`, words.pack, name, (written) => {
        const isZip = written.toLowerCase().endsWith(".zip");
        const to = isZip || /\.t(ar\.)?gz$/i.test(written) ? written : `${written}.tar.gz`;
        post("pack", { paths64: paths(entries), to64: view.inHere(to), format: isZip ? "zip" : "tar.gz" });
      });
    },
    unpack([entry]) {
      view.askFor(`${words.unpack}: ${entry.name}`, words.unpack, entry.name.replace(ARCHIVE, ""), async (name) => {
        if (await post("unpack", { path64: paths([entry])[0], into64: view.inHere(name) })) toast(`${words.unpacked} ${entry.name}`, "check");
      });
    },
    mode(entries) {
      const [first] = entries;
      const dialog = dialogOf("files-mode", entries, (form) => {
        const body = { paths64: paths(entries), recursive: form.has("recursive") };
        for (const one of ["mode", "owner", "group"]) body[one] = form.get(one).trim();
        post("attributes", body);
      });
      const same = (what) => (entries.every((one) => what(one) === what(first)) ? what(first) : "");
      const form = dialog.querySelector("form");
      form.elements.mode.value = same((one) => one.mode);
      form.elements.owner.value = same((one) => one.owner || String(one.uid));
      form.elements.group.value = same((one) => one.group || String(one.gid));
      form.elements.recursive.closest("label").hidden = !entries.some((one) => one.type === "directory");
    },
    delete(entries) {
      dialogOf("files-delete", entries, (form) => post("delete", { paths64: paths(entries), trash: !form.has("for_good") }));
    },
  };

  /** Does it to these entries, or to the chosen ones. */
  function act(name, entries = chosen()) {
    if (entries.length && (name !== "rename" || entries.length === 1)) acts[name](entries);
  }

  bar.querySelectorAll("[data-act]").forEach((one) => one.addEventListener("click", () => act(one.dataset.act)));
  paste.addEventListener("click", putDown);
  const drawOne = () => bar.querySelectorAll("[data-of-one]").forEach((one) => { one.hidden = boxes().length !== 1; });
  document.addEventListener("click", drawOne);
  document.addEventListener("wadah:fresh", drawOne);
  return { act, post, putDown, none };
}
