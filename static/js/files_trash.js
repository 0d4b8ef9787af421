/** The trash of an environment's files, in a dialog: what lies in it, put back or deleted for good. */
import { dateAndTime } from "./clock.js";
import { iconElement } from "./words.js";

/** `hand`: of files_chosen.js. */
export function trash(view, hand) {
  const dialog = document.getElementById("files-trash");
  const body = dialog.querySelector("tbody");
  const said = dialog.querySelector("[role=status]");
  const words = dialog.dataset;

  async function load() {
    body.replaceChildren();
    said.textContent = "…";
    const answer = await fetch(`${view.api}/trash`, { credentials: "same-origin" });
    const found = await answer.json();
    said.textContent = answer.ok ? (found.count ? "" : words.empty) : found.detail;
    dialog.querySelector("[data-empty-all]").hidden = !found.count;
    body.replaceChildren(...(found.items ?? []).map(row));
  }

  async function change(verb, payload) {
    await hand.post(`trash/${verb}`, payload);
    await load();
  }

  function iconButton(icon, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "icon-button tiny";
    made.title = label;
    made.setAttribute("aria-label", label);
    made.append(iconElement(icon));
    made.addEventListener("click", act);
    return made;
  }

  function row(entry) {
    const made = document.createElement("tr");
    const cell = (content, css) => {
      const one = document.createElement("td");
      one.className = css;
      one.append(content);
      made.append(one);
    };
    cell(entry.path, "first break");
    cell(entry.size === null ? "" : view.sizeText(entry.size), "small muted pair");
    cell(dateAndTime(entry.deleted_at), "small muted pair");
    const acts = document.createElement("div");
    acts.className = "acts";
    acts.append(
      iconButton("arrow-back-up", `${words.back}: ${entry.path}`, () => change("restore", { ids: [entry.id] })),
      iconButton("trash", `${words.forGood}: ${entry.path}`, () => change("empty", { ids: [entry.id] })),
    );
    cell(acts, "corner");
    return made;
  }

  dialog.querySelector("[data-empty-all]").addEventListener("click", () => change("empty", {}));
  view.place.querySelector("[data-trash]").addEventListener("click", () => {
    dialog.showModal();
    load();
  });
}
