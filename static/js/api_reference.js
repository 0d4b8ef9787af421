/** Sends a call of the API reference with the reader's own session, and shows what comes back. */
import { csrfToken, word } from "./words.js";

const LONGEST = 100_000;

function request(form) {
  let { path } = form.dataset;
  const query = new URLSearchParams();
  const headers = { "X-CSRFToken": csrfToken(), Accept: "application/json" };
  for (const { name, value, dataset: { place } } of form.querySelectorAll("input[data-place]")) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value && place === "query") query.append(name, value);
    else if (value && place === "header") headers[name] = value;
  }
  const body = form.querySelector("[data-body]")?.value;
  if (body) headers["Content-Type"] = "application/json";
  const address = query.size ? `${path}?${query}` : path;
  return [address, { method: form.dataset.method, headers, body: body || undefined, credentials: "same-origin" }];
}

const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

async function send(form) {
  const status = form.querySelector("[data-status]");
  const shown = form.querySelector("[data-answer]");
  const began = performance.now();
  try {
    const answer = await fetch(...request(form));
    const text = await answer.text();
    status.textContent = `${answer.status} ${answer.statusText} · ${Math.round(performance.now() - began)} ms`;
    shown.textContent = pretty(text).slice(0, LONGEST);
    shown.hidden = !text;
  } catch {
    status.textContent = word("failed");
    shown.hidden = true;
  }
}

for (const form of document.querySelectorAll("form.call-try")) form.hidden = false;
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !event.target.matches("form.call-try")) return;
  event.preventDefault();
  send(event.target);
});

/** A call that the address names is open. */
function openNamed() {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) named.open = true;
}
openNamed();
window.addEventListener("hashchange", openNamed);
