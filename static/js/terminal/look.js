/** What every terminal looks like, live or played again. */
export const COLOURS = {
  background: "#0b0e12",
  foreground: "#e4e8ed",
  cursor: "#e4e8ed",
  selectionBackground: "#2f5d8c",
  brightBlack: "#7d8794",
};

export function styleSheet() {
  const href = new URL("../../css/terminal.css", import.meta.url).href;
  if (document.querySelector("link[href*='css/terminal']")) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
