/** Words in the reader's language: the page brings them in an element `console-words`, keyed by the English. */
const words = JSON.parse(document.getElementById("console-words")?.textContent || "{}");

/** `say("%d viewers", 2)` */
export function say(english, ...values) {
  let text = words[english] || english;
  for (const value of values) text = text.replace(/%[sd]/, String(value));
  return text;
}
