/** What changed since a snapshot: asked for once, and again when another snapshot is chosen. */
import { putBackButton } from "./put_back.js";

const place = document.getElementById("snapshot-changes");
const [body, packages, status, chosen] = ["items", "packages", "status", "to"].map((one) => place.querySelector(`[data-${one}]`));
const language = document.documentElement.lang;
let asked = 0;

function row(cells) {
  const made = document.createElement("tr");
  for (const [content, css] of cells) {
    const cell = document.createElement("td");
    cell.className = css || "small muted";
    cell.append(content);
    made.append(cell);
  }
  return made;
}

const size = (bytes) => (bytes === null ? "" : bytes.toLocaleString(language));

function itemRow(one) {
  const sizes = one.type !== "file" ? "" : `${size(one.size_before)} → ${size(one.size)}`;
  const button = one.change === "added" ? "" : putBackButton(place, one.path, one.path64);
  return row([[place.dataset[one.change]], [one.path, "first break mono"], [sizes], [button, "corner"]]);
}

async function load() {
  const mine = ++asked;
  body.replaceChildren();
  packages.replaceChildren();
  place.querySelector("[data-packages-part]").hidden = true;
  status.textContent = place.dataset.looking;
  try {
    const query = new URLSearchParams(chosen.value ? { to: chosen.value } : {});
    const answer = await fetch(`${place.dataset.api}?${query}`, { credentials: "same-origin" });
    const found = await answer.json();
    if (mine !== asked) return;
    if (!answer.ok) throw new Error(found.detail);
    body.append(...found.items.map(itemRow));
    packages.append(...found.packages.map((one) => row([[one.name, "first"], [one.before || "–"], [one.after || "–"]])));
    place.querySelector("[data-packages-part]").hidden = !found.packages.length;
    const counts = ["added", "changed", "removed"].map((one) => `${place.dataset[one]}: ${found.counts[one].toLocaleString(language)}`);
    status.textContent = `${counts.join(" · ")}${found.is_whole ? "" : ` · ${place.dataset.part}`}`;
  } catch (error) {
    if (mine === asked) status.textContent = `${place.dataset.failed} ${error.message || ""}`;
  }
}

chosen.addEventListener("change", load);
load();
