/**
 * The editor of a file: a plain textarea, so that keyboard, phone and screen reader have what they know, over a picture
 * of its own text in colours. Of a long text only what is seen is painted.
 */
import { languageOf, tokens } from "./syntax.js";

/** Lines painted above and below those that are seen; so much before them is read for what they lie in. */
const [SPARE_LINES, BEFORE] = [10, 2 ** 15];
/** A longer line is shown as it is. */
const LONGEST_LINE = 2000;

/** Colours behind a textarea, by the name of what is in it. */
export function painting(text) {
  const sheet = text.parentElement.querySelector("pre");
  const paper = sheet.querySelector("code");
  let [language, starts, drawn, asked] = ["", [0], [0, 0], 0];

  /** Where each line begins. */
  function measure() {
    const value = text.value;
    starts = [0];
    for (let at = value.indexOf("\n"); at >= 0; at = value.indexOf("\n", at + 1)) starts.push(at + 1);
    drawn = [0, 0];
  }

  function draw() {
    asked = 0;
    const style = getComputedStyle(text);
    const height = parseFloat(style.lineHeight);
    const first = Math.floor(text.scrollTop / height);
    const last = Math.ceil((text.scrollTop + text.clientHeight) / height);
    if (first < drawn[0] || last > drawn[1] || drawn[1] === 0) paint(Math.max(0, first - SPARE_LINES), Math.min(starts.length, last + SPARE_LINES));
    paper.style.transform = `translate(${-text.scrollLeft}px, ${drawn[0] * height - text.scrollTop}px)`;
  }

  function paint(first, last) {
    const value = text.value;
    const end = last < starts.length ? starts[last] : value.length;
    const [begin, seen] = [starts[starts.findIndex((one) => one >= starts[first] - BEFORE)], starts[first]];
    const bounds = [...starts.slice(starts.indexOf(begin), last), end];
    const isLong = bounds.some((one, at) => at && one - bounds[at - 1] > LONGEST_LINE);
    const parts = document.createDocumentFragment();
    const piece = value.slice(begin, end);
    let at = seen - begin;
    if (!isLong) {
      tokens(language, piece, 0, (kind, from, to) => {
        if (to <= at) return;
        const span = document.createElement("span");
        span.className = `code-${kind}`;
        span.textContent = piece.slice(Math.max(from, at), to);
        if (from > at) parts.append(piece.slice(at, from));
        parts.append(span);
        at = to;
      });
    }
    parts.append(piece.slice(at));
    paper.replaceChildren(parts);
    drawn = [first, last >= starts.length ? Infinity : last];
  }

  const soon = () => { if (language && !asked) asked = requestAnimationFrame(draw); };
  text.addEventListener("input", () => {
    if (!language) return;
    measure();
    soon();
  });
  text.addEventListener("scroll", soon);
  new ResizeObserver(soon).observe(text);

  /** Begins with what is in the textarea now. */
  return (name) => {
    language = languageOf(name, text.value);
    text.parentElement.classList.toggle("lit", Boolean(language));
    paper.replaceChildren();
    if (!language) return;
    measure();
    soon();
  };
}

/** How the lines of a text end: a textarea knows `\n` alone. Null: in several ways, or by `\r`. */
export function endOfLines(text) {
  if (!text.includes("\r")) return "\n";
  return text.replaceAll("\r\n", "").match(/[\r\n]/) ? null : "\r\n";
}

/** `view`: place, address, change. `edit(entry, names)`: a text, to be changed here. What somebody else made of it
 * meanwhile isn't written over. */
export function editing(view, toast) {
  const { place, address, change } = view;
  const dialog = document.getElementById("files-editor");
  const text = dialog.querySelector("textarea");
  const where = dialog.querySelector("[data-where]");
  const paint = painting(text);

  const tell = () => {
    const before = text.value.slice(0, text.selectionEnd);
    where.textContent = `${before.split("\n").length}:${before.length - before.lastIndexOf("\n")}`;
  };
  for (const kind of ["keyup", "click", "input", "focus"]) text.addEventListener(kind, tell);
  dialog.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    dialog.querySelector("form").requestSubmit();
  });

  return async (entry, names) => {
    const read = async () => new Uint8Array(await (await fetch(address("/content", names), { credentials: "same-origin" })).arrayBuffer());
    let before = await read();
    let value;
    try { value = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(before); }
    catch { toast(place.dataset.noText, "alert-triangle"); return; }
    const end = endOfLines(value);
    if (end === null) { toast(place.dataset.oddLines, "alert-triangle"); return; }
    text.value = value;
    dialog.querySelector("h2").textContent = entry.name;
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      const now = await read();
      if (now.length !== before.length || now.some((one, at) => one !== before[at])) {
        toast(place.dataset.changed, "alert-triangle");
        return;
      }
      // what was typed stays until it is kept
      const body = new TextEncoder().encode(end === "\n" ? text.value : text.value.replaceAll("\n", end));
      if (await change("PUT", names, { body, headers: { "Content-Type": "application/octet-stream" } })) {
        before = body;
        dialog.close();
      }
    };
    dialog.showModal();
    text.setSelectionRange(0, 0);
    text.scrollTo(0, 0);
    text.focus();
    paint(entry.name);
  };
}
