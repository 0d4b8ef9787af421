/** The list of files by keyboard: arrows, Enter, Space, Backspace; F2, Delete, Ctrl with A, C, X and V; Escape. */

const isElsewhere = (event) => Boolean(event.target.closest?.("dialog[open], input:not([type=checkbox]), textarea, select"));

/** `view` as in files_chosen.js; `hand` is what that gives, or nothing where nothing may be changed. */
export function keys(view, hand) {
  const rows = () => [...view.place.querySelectorAll("[data-entries] tr")];
  const current = () => document.activeElement?.closest?.("[data-entries] tr");
  const box = (row) => row?.querySelector("input[data-row]");

  function go(step) {
    const all = rows();
    const at = all.indexOf(current());
    all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))]?.focus();
  }

  function toggle(row) {
    box(row)?.click();
    row?.focus();
  }

  function toAll(isChosen) {
    rows().forEach((row) => { if (box(row)) box(row).checked = isChosen; });
    document.dispatchEvent(new Event("wadah:fresh"));
  }

  /** To what is chosen, or else to the row that has the focus. */
  function act(name) {
    const here = box(current());
    const isAny = rows().some((row) => box(row)?.checked);
    if (isAny) hand.act(name);
    else if (here) hand.act(name, [view.entries.get(here.value)]);
  }

  const plain = {
    ArrowDown: () => go(1),
    ArrowUp: () => go(-1),
    Home: () => rows()[0]?.focus(),
    End: () => rows().at(-1)?.focus(),
    Backspace: () => view.up(),
  };
  const ofRow = {
    Enter: (row) => row.querySelector("[data-open]")?.click(),
    " ": toggle,
  };
  const writing = { F2: () => act("rename"), Delete: () => act("delete"), Escape: () => hand.none() };
  const withCtrl = { a: () => toAll(true), c: () => act("copy"), x: () => act("cut"), v: () => hand.putDown() };

  function found(event) {
    if (event.ctrlKey || event.metaKey) {
      const isText = event.key === "c" && String(window.getSelection());
      return hand && !event.shiftKey && !event.altKey && !isText ? withCtrl[event.key] : null;
    }
    if (event.altKey || event.shiftKey) return null;
    if (event.target.matches?.("[data-entries] tr") && ofRow[event.key]) return () => ofRow[event.key](event.target);
    return plain[event.key] || (hand && writing[event.key]);
  }

  document.addEventListener("keydown", (event) => {
    if (isElsewhere(event)) return;
    const work = found(event);
    if (!work) return;
    event.preventDefault();
    work();
  });
}
