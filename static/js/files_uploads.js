/**
 * Uploads on the page of files: small files and folders as archives, large files in parts. What was cut off goes on
 * by itself; what a closed page left goes on when the same file is chosen again, in whichever browser.
 */
import { toast } from "./toasts.js";
import { archiveOf, dropped, send } from "./uploads.js";
import { csrfToken } from "./words.js";

/** What a PUT takes; of a part of a file, and what is large enough to go in parts; of small files in one archive. */
const [SMALL_BYTES, PART_BYTES, ARCHIVE_BYTES] = [2 ** 20, 2 ** 23, 2 ** 25];
const [FIRST_WAIT_S, LONGEST_WAIT_S] = [1, 30];
const encoder = new TextEncoder();

/** Small files and folders by archives of bounded size: one that was cut off is sent again as a whole. */
function archives(found) {
  const groups = [];
  let room = 0;
  for (const one of found) {
    const size = one[1] ? one[1].size : 0;
    if (!groups.length || size > room) {
      groups.push([]);
      room = ARCHIVE_BYTES;
    }
    groups.at(-1).push(one);
    room -= size;
  }
  return groups;
}

/** The folders above these, from the top down: a part of a file goes into a directory that is there. */
function foldersOf(found) {
  const names = new Set();
  for (const [name] of found) {
    const parts = name.split("/").slice(0, -1);
    parts.forEach((_, depth) => names.add(parts.slice(0, depth + 1).join("/")));
  }
  return [...names].map((name) => [name, null]);
}

export function uploading(view) {
  const { place } = view;
  const sending = place.querySelector("[data-sending]");
  const unfinished = place.querySelector("[data-unfinished]");
  const [bar, said] = [sending.querySelector("progress"), sending.querySelector("[data-sent]")];
  let last = Promise.resolve();
  let waiting = 0;

  const base64 = (name) => view.base64Of(encoder.encode(name));
  const pathOf = (into, name) => view.joined([...into, ...name.split("/").map((one) => [one, base64(one)])]);

  /** Of one run: how much is done, and whether somebody has cancelled it. */
  class Run {
    constructor(whole) {
      [this.whole, this.done, this.stopped, this.going] = [whole, 0, false, null];
      this.ended = new Promise((resolve) => { this.end = resolve; });
    }

    tell(sent) {
      bar.value = this.whole ? Math.min(1, (this.done + sent) / this.whole) : 1;
      said.textContent = `${view.sizeText(this.done + sent)} / ${view.sizeText(this.whole)}`;
    }

    stop() {
      this.stopped = true;
      this.going?.stop();
      this.end();
    }

    /** What came of it, sent again for as long as only the way is at fault; null when it was cancelled. */
    async kept(begin) {
      for (let wait = FIRST_WAIT_S; !this.stopped; wait = Math.min(2 * wait, LONGEST_WAIT_S)) {
        this.going = begin();
        const answer = await this.going.done;
        if (this.stopped) return null;
        if (answer.ok) return answer.body;
        const isBusy = answer.status === 429 || answer.body.code === "gave_way"; // others wait for the same place
        if (!answer.isCut && answer.status < 500 && !isBusy) throw new Error(answer.detail || view.failed);
        said.textContent = place.dataset.waits;
        await this.rest(wait);
      }
      return null;
    }

    /** So long, or until the browser is on a network again, or somebody cancels. */
    async rest(seconds) {
      let wake;
      const woken = new Promise((resolve) => { wake = resolve; });
      const timer = setTimeout(wake, seconds * 1000);
      window.addEventListener("online", wake, { once: true });
      await Promise.race([woken, this.ended]);
      clearTimeout(timer);
      window.removeEventListener("online", wake);
    }

    async archive(found, into) {
      const query = new URLSearchParams(into.length ? { path64: view.joined(into) } : {});
      const size = found.reduce((sum, [, file]) => sum + (file ? file.size : 0), 0);
      const whole = archiveOf(found);
      await this.kept(() => send(`${place.dataset.sendTo}?${query}`, whole, (sent) => this.tell(Math.min(sent, size))));
      this.done += size;
    }

    /** From where it stopped, whoever sent what is there. */
    async parts(file, path64, from) {
      const modified = Math.floor(file.lastModified / 1000);
      let offset = from;
      while (offset < file.size && !this.stopped) {
        const part = file.slice(offset, offset + PART_BYTES);
        const query = new URLSearchParams({ path64, size: file.size, offset, modified });
        const begin = offset;
        const answer = await this.kept(() => send(
          `${view.api}/uploads?${query}`, part, (sent) => this.tell(begin + Math.min(sent, part.size)), "application/octet-stream",
        ));
        if (!answer) return;
        offset = answer.offset;
        this.tell(offset);
      }
      this.done += file.size;
    }
  }

  async function begun() {
    try {
      const answer = await fetch(`${view.api}/uploads`, { credentials: "same-origin" });
      return answer.ok ? (await answer.json()).items : [];
    } catch { return []; }
  }

  const startOf = (items, path64, file) => items.find((one) => one.path64 === path64 && one.size === file.size
    && one.modified === Math.floor(file.lastModified / 1000))?.offset || 0;

  async function work(run, found, into) {
    const large = found.filter(([, file]) => file && file.size > PART_BYTES);
    const rest = [...foldersOf(large), ...found.filter((one) => !large.includes(one))];
    for (const group of archives(rest)) if (!run.stopped) await run.archive(group, into);
    if (!large.length || run.stopped) return;
    const items = await begun();
    for (const [name, file] of large) {
      const path64 = pathOf(into, name);
      if (!run.stopped) await run.parts(file, path64, startOf(items, path64, file));
    }
  }

  /** One after the other, with its progress and a button that ends it. */
  function inTurn(whole, act) {
    waiting += 1;
    unfinished.hidden = true;
    last = last.then(async () => {
      const run = new Run(whole);
      sending.querySelector("button").onclick = () => run.stop();
      run.tell(0);
      sending.hidden = false;
      try { await act(run); } catch (error) { toast(error.message, "alert-triangle"); }
      sending.hidden = true;
      waiting -= 1;
      view.refresh();
      if (!waiting) await showUnfinished();
    });
    return last;
  }

  /** One small file keeps owner and mode of what it replaces; all else goes with its folders. */
  async function upload(found) {
    if (!found.length) return;
    const [[name, file]] = found;
    if (found.length === 1 && file && !name.includes("/") && file.size <= SMALL_BYTES) {
      await view.change("PUT", [...view.path(), [name, base64(name)]], { body: file, headers: { "Content-Type": "application/octet-stream" } });
      return;
    }
    const into = view.path();
    await inTurn(found.reduce((sum, [, one]) => sum + (one ? one.size : 0), 0), (run) => work(run, found, into));
  }

  function goOn(one) {
    const input = document.createElement("input");
    input.type = "file";
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (!file) return;
      if (!startOf([one], one.path64, file) && one.offset) toast(place.dataset.otherFile, "alert-triangle");
      else inTurn(file.size, (run) => run.parts(file, one.path64, one.offset));
    });
    input.click();
  }

  async function discard(one) {
    const answer = await fetch(`${view.api}/uploads/${one.id}`, { method: "DELETE", credentials: "same-origin", headers: { "X-CSRFToken": csrfToken() } });
    if (!answer.ok) toast((await answer.json()).detail, "alert-triangle");
    await showUnfinished();
  }

  function button(label, of, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "btn btn-sm";
    made.textContent = label;
    made.setAttribute("aria-label", `${label}: ${of}`);
    made.addEventListener("click", act);
    return made;
  }

  async function showUnfinished() {
    const items = await begun();
    if (waiting) return;
    unfinished.querySelector("ul").replaceChildren(...items.map((one) => {
      const line = document.createElement("li");
      line.className = "row-flex";
      const name = document.createElement("span");
      name.className = "grow break";
      name.translate = false;
      name.textContent = `${one.path} (${view.sizeText(one.offset)} / ${view.sizeText(one.size)})`;
      line.append(name, button(place.dataset.goOn, one.path, () => goOn(one)), button(place.dataset.discard, one.path, () => discard(one)));
      return line;
    }));
    unfinished.hidden = !items.length;
  }

  place.querySelectorAll("[data-upload]").forEach((input) => input.addEventListener("change", async (event) => {
    const found = [...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]);
    event.target.value = "";
    await upload(found);
  }));
  place.querySelector("[data-new-folder]")?.addEventListener("click", () => {
    view.askFor(place.dataset.newFolder, place.dataset.makeIt, "", (name) => upload([[name.replaceAll("/", ""), null]]));
  });
  dropping(place, upload);
  showUnfinished();
}

/** Files and folders that are dropped on the list. */
function dropping(place, upload) {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  for (const kind of ["dragenter", "dragover"]) {
    place.addEventListener(kind, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      place.classList.add("drop");
    });
  }
  place.addEventListener("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) place.classList.remove("drop");
  });
  place.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    place.classList.remove("drop");
    await upload(await dropped([...event.dataTransfer.items]));
  });
}
