/**
 * What the named image says of itself, asked of its registry as soon as it is named: told below it, and as the
 * placeholder of each field that it fills in while nobody says otherwise.
 */
import { csrfToken } from "./words.js";

const place = document.getElementById("image-says");
const form = document.getElementById("create-form");
const image = form.querySelector("[name=image]");
const said = place.querySelector("[role=status]");
const facts = place.querySelector("dl");
const { askedAt, asking, failed } = place.dataset;
const titles = JSON.parse(place.dataset.titles);

const quoted = (words) => words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
const seconds = (value) => (value ? String(value) : "");
let asked = "";
let request = null;

/** By name of a field: what holds where it is left empty. */
function placeholders(found) {
  const health = found.health || {};
  return {
    "app.command": quoted(found.entrypoint), "app.args": quoted(found.cmd), "app.user": found.user || "root",
    "app.workdir": found.workdir || "/", "app.env": found.env.join("\n"), "app.stop_signal": found.stop_signal || "SIGTERM",
    "app.ports": found.ports.map((port) => port.replace("/tcp", "")).join(" "),
    "app.volumes": found.volumes.map((path, number) => `data${number || ""}:${path}`).join(" "),
    "app.health.command": quoted(health.command || []), "app.health.interval": seconds(health.interval_s),
    "app.health.timeout": seconds(health.timeout_s), "app.health.retries": seconds(health.retries),
    "app.health.start_period": seconds(health.start_period_s),
  };
}

function fill(values) {
  for (const [name, text] of Object.entries(values)) {
    const field = form.querySelector(`[name="${name}"]`);
    if (!field) continue;
    field.dataset.first ??= field.placeholder;
    field.placeholder = text || field.dataset.first;
  }
}

function tell(found) {
  const health = found.health && quoted(found.health.command);
  const rows = {
    runs: quoted([...found.entrypoint, ...found.cmd]), user: found.user || "root", ports: found.ports.join(" "),
    volumes: found.volumes.join(" "), health, digest: found.digest,
  };
  facts.replaceChildren(...Object.entries(rows).filter(([, text]) => text).flatMap(([name, text]) => {
    const title = document.createElement("dt");
    const value = document.createElement("dd");
    title.textContent = titles[name];
    value.textContent = text;
    value.className = "mono break";
    value.translate = false;
    return [title, value];
  }));
}

/** Ports are buttons beside the field that publishes them, as those of images that run here. */
function offerPorts(found) {
  const exposed = document.getElementById("exposed");
  exposed.dataset.known = JSON.stringify({ ...JSON.parse(exposed.dataset.known), [image.value.trim()]: found.ports });
  image.dispatchEvent(new Event("input", { bubbles: true }));
}

async function ask() {
  const name = image.value.trim();
  const tenant = form.querySelector("[name=tenant]");
  if (!name || !tenant || name === asked) return;
  asked = name;
  request?.abort();
  request = new AbortController();
  place.hidden = false;
  said.textContent = asking;
  facts.replaceChildren();
  fill(Object.fromEntries(Object.keys(placeholders({ entrypoint: [], cmd: [], env: [], ports: [], volumes: [] })).map((one) => [one, ""])));
  try {
    const answer = await fetch(askedAt, {
      method: "POST", credentials: "same-origin", signal: request.signal,
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      body: JSON.stringify({ tenant: tenant.value, image: name }),
    });
    const found = await answer.json();
    if (!answer.ok) {
      said.textContent = [found.detail || failed, found.next_step].filter(Boolean).join(" ");
      return;
    }
    said.textContent = "";
    tell(found);
    fill(placeholders(found));
    offerPorts(found);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    said.textContent = failed;
    asked = "";
  }
}

image.addEventListener("change", ask);
ask();
