/** Small curves of the last half hour in the list, fetched once for the rows that stand there, drawn on by events. */
const MOST = 40;
const known = new Map();
const asked = new Set();
let lastMinute = 0;

const environment = (svg) => svg.closest("[data-usage]").dataset.usage;

function name(svg) {
  svg.setAttribute("viewBox", "0 0 60 14");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const text = svg.closest("[data-sparks]").dataset.sparksName;
  svg.setAttribute("aria-label", text.replace("%s", svg.closest("tr").querySelector(".name").textContent));
}

function draw() {
  for (const svg of document.querySelectorAll(".spark")) {
    const values = known.get(environment(svg));
    if (!values || values.length < 2) continue;
    name(svg);
    const most = Math.max(Number(svg.closest("[data-limit]").dataset.limit), ...values) || 1;
    const step = 60 / (values.length - 1);
    const points = values.map((value, index) => `${(index * step).toFixed(1)} ${(13 - (value / most) * 12).toFixed(1)}`);
    const path = svg.querySelector("path") || svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
    path.setAttribute("d", `M${points.join("L")}`);
  }
}

async function load() {
  draw();
  const table = document.querySelector("[data-sparks]");
  const missing = [...document.querySelectorAll(".spark")].map(environment).filter((id) => !asked.has(id));
  if (!table || !missing.length) return;
  missing.forEach((id) => asked.add(id));
  try {
    const answer = await fetch(`${table.dataset.sparks}?${missing.map((id) => `id=${id}`).join("&")}`);
    if (answer.ok) Object.entries(await answer.json()).forEach(([id, values]) => known.set(id, values));
  } catch {
    // They are an ornament: the figures beside them say the same.
  }
  draw();
}

document.addEventListener("wadah:usage", ({ detail }) => {
  const minute = Math.floor(Date.now() / 60_000);
  if (minute === lastMinute) return;
  lastMinute = minute;
  for (const [id, usage] of Object.entries(detail.usages || {})) {
    if (known.has(id)) known.set(id, [...known.get(id), usage.cpu].slice(-MOST));
  }
  draw();
});
document.addEventListener("wadah:fresh", load);
document.addEventListener("htmx:afterSettle", load);
load();
