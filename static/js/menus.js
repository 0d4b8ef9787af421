/** Menus are <details>: Escape and a click elsewhere close them. The sidebar is a drawer on narrow screens. */
const sidebar = document.getElementById("sidebar");

function closeMenus(except) {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  });
}
document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
  if (event.target.closest("[data-sidebar-open]")) {
    event.preventDefault();
    sidebar.classList.add("open");
    sidebar.querySelector("a")?.focus();
  } else if (sidebar?.classList.contains("open") && (!sidebar.contains(event.target) || event.target.closest("[data-sidebar-close]"))) {
    event.preventDefault();
    sidebar.classList.remove("open");
  }
});
// On a narrow screen the tabs scroll: the one that is shown is in view.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  const row = tab.closest(".tabs");
  row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  sidebar?.classList.remove("open");
  const menu = document.activeElement?.closest("details.menu[open]");
  closeMenus(null);
  menu?.querySelector("summary")?.focus();
});
