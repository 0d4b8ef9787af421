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
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  sidebar?.classList.remove("open");
  const menu = document.activeElement?.closest("details.menu[open]");
  closeMenus(null);
  menu?.querySelector("summary")?.focus();
});
