/** Searching below the shown directory, by name or in the content; what was found stands in the place of the list. */

/** `view` as in files_chosen.js. */
export function searching(view) {
  const { place } = view;
  const form = place.querySelector("[data-search]");
  if (!form) return;
  const [body, status, more] = ["entries", "status", "next"].map((one) => place.querySelector(`[data-${one}]`));
  let asked = 0;

  /** The directory that a path lies in, as the list names it. */
  function directoryOf(path64) {
    const bytes = Uint8Array.from(atob(path64), (one) => one.charCodeAt(0));
    const names = [];
    let begin = 0;
    bytes.forEach((one, at) => {
      if (one !== 47) return;
      if (at > begin) names.push(bytes.slice(begin, at));
      begin = at + 1;
    });
    return names.map((one) => [new TextDecoder().decode(one), btoa(String.fromCharCode(...one))]);
  }

  function row(found) {
    const made = document.createElement("tr");
    made.tabIndex = -1;
    const label = document.createElement("span");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = found.path;
    button.dataset.open = "";
    button.addEventListener("click", () => view.show(directoryOf(found.path64)));
    label.append(view.iconOf(found.type), " ", button);
    if (found.excerpt) {
      const line = document.createElement("div");
      line.className = "small muted mono break";
      line.textContent = `${found.line}: ${found.excerpt}`;
      label.append(line);
    }
    view.cell(made, label, "first break");
    view.cell(made, found.size === null ? "" : view.sizeText(found.size), "small muted pair");
    for (let rest = 0; rest < 4; rest += 1) view.cell(made, "");
    return made;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const mine = ++asked;
    const from = view.path();
    const data = new FormData(form);
    status.textContent = "…";
    const extra = { text: data.get("text"), ...(data.has("content") ? { content: true } : {}) };
    const answer = await fetch(view.address("/search", from, extra), { credentials: "same-origin" });
    const found = await answer.json();
    if (mine !== asked || view.path() !== from) return;
    if (!answer.ok) {
      status.textContent = found.detail;
      return;
    }
    more.hidden = true;
    view.entries.clear();
    body.replaceChildren(...found.items.map(row));
    status.textContent = `${place.dataset.found} ${found.count}. ${found.is_whole ? "" : place.dataset.notWhole}`;
    document.dispatchEvent(new Event("wadah:fresh"));
  });
}
