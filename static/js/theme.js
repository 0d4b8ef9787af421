/** Light or dark by hand; the system's choice until then. The head's script sets it before the first paint. */
const root = document.documentElement;

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
  root.dataset.bsTheme = next;
  localStorage.setItem("theme", next);
  document.dispatchEvent(new CustomEvent("wadah:theme"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (localStorage.getItem("theme")) return;
  root.dataset.bsTheme = event.matches ? "dark" : "light";
  document.dispatchEvent(new CustomEvent("wadah:theme"));
});
