/**
 * Uploads of any size into a directory: files, or folders with all that is in them, as one tar archive that is made
 * here (POSIX.1-2001 pax, since names are of any length) and sent piece by piece, with what was sent so far.
 */
import { csrfToken } from "./words.js";

const BLOCK = 512;
const encoder = new TextEncoder();

const octal = (value, width) => `${value.toString(8).padStart(width - 1, "0")}\0`;

/** A header of 512 bytes; `type`: "0" a file, "5" a directory, "x" what the next header has no room for. */
function header(name, size, modified, type) {
  const block = new Uint8Array(BLOCK);
  const put = (text, at) => block.set(encoder.encode(text), at);
  block.set(encoder.encode(name).slice(0, 100), 0);
  put(octal(type === "5" ? 0o755 : 0o644, 8), 100);
  put(octal(0, 8), 108);
  put(octal(0, 8), 116);
  put(octal(Math.min(size, 0o77777777777), 12), 124);
  put(octal(modified, 12), 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = block.reduce((whole, one) => whole + one, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

const padding = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function record(key, value) {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function entry(name, file) {
  const size = file ? file.size : 0;
  const modified = Math.floor((file ? file.lastModified : Date.now()) / 1000);
  const long = encoder.encode(record("path", name) + (size > 0o77777777777 ? record("size", size) : ""));
  return [
    header("pax", long.length, modified, "x"), long, padding(long.length),
    header(name, size, modified, file ? "0" : "5"), ...(file ? [file, padding(size)] : []),
  ];
}

/** `found`: `[name, File or null for a directory]`. */
export function archiveOf(found) {
  return new Blob([...found.flatMap(([name, file]) => entry(name, file)), new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}

/** Of files and folders that were dropped: `[name, File or null]` of all that is in them. */
export async function dropped(items) {
  const found = [];
  async function walk(one, above) {
    const name = `${above}${one.name}`;
    if (one.isFile) found.push([name, await new Promise((done, wrong) => one.file(done, wrong))]);
    else {
      found.push([name, null]);
      const reader = one.createReader();
      for (;;) {
        const some = await new Promise((done, wrong) => reader.readEntries(done, wrong)); // at most 100 at a time
        if (!some.length) break;
        for (const each of some) await walk(each, `${name}/`);
      }
    }
  }
  for (const one of items.map((item) => item.webkitGetAsEntry()).filter(Boolean)) await walk(one, "");
  return found;
}

/** Sends it; `told(sent, whole)` as it goes on. `{ok, status, body, detail}`; `stop` of what is returned cuts it off. */
export function send(url, data, told, type = "application/x-tar") {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve) => {
    request.upload.addEventListener("progress", (event) => told(event.loaded, event.total));
    request.addEventListener("loadend", () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* the connection was cut off */ }
      const { status } = request;
      resolve({ ok: status >= 200 && status < 300, isCut: status === 0, status, body, detail: body.detail || "" });
    });
  });
  request.open("POST", url);
  request.setRequestHeader("Content-Type", type);
  request.setRequestHeader("X-CSRFToken", csrfToken());
  request.send(data);
  return { done, stop: () => request.abort() };
}
