/** Words that the server put into the page in the reader's language. */
const words = JSON.parse(document.body.dataset.words || "{}");
export const word = (key) => words[key] || key;

/** A number's text with the decimal sign of the page's language. */
const SIGN = (1.1).toLocaleString(document.documentElement.lang || "en").charAt(1);
export const spelled = (text) => text.replace(/(\d)\.(\d)/g, `$1${SIGN}$2`);

const sprite = () => document.querySelector(".icon use")?.getAttribute("href")?.split("#")[0];

/** An icon from the sprite, as an element. */
export function iconElement(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `${sprite()}#i-${name}`);
  svg.append(use);
  return svg;
}

export const csrfToken = () => document.querySelector("meta[name=csrf-token]")?.content || "";
