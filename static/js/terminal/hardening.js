/**
 * What a program inside may not do with a screen that somebody else looks at: name the window, reach the
 * clipboard, or make the terminal type answers that are not needed for drawing.
 */
import { ask } from "./question.js";
import { say } from "./words.js";

const HTTP = /^https?:$/;

export function harden(terminal) {
  const { parser } = terminal;
  const swallow = () => true;
  // window and icon titles (0, 1, 2), colour queries and changes (4, 10-12), clipboard (52), files and commands
  for (const number of [0, 1, 2, 4, 7, 9, 10, 11, 12, 50, 52, 777, 1337]) parser.registerOscHandler(number, swallow);
  // DECRQSS and XTGETTCAP would be answered by typing
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, swallow);
  parser.registerDcsHandler({ intermediates: "+", final: "q" }, swallow);
  // window reports and changes
  parser.registerCsiHandler({ final: "t" }, swallow);
}

/** Opens a link in a window that knows nothing of ours, after a question: what is shown may not be where it leads. */
export async function openLink(place, uri) {
  let url;
  try {
    url = new URL(uri);
  } catch {
    return;
  }
  if (!HTTP.test(url.protocol)) return;
  if (!(await ask(place, { title: say("Open this address?"), text: url.href, yes: say("Open") }))) return;
  window.open(url.href, "_blank", "noopener,noreferrer");
}

/** For links whose text a program chose (OSC 8). */
export const linkHandler = (place) => ({
  activate: (_event, uri) => openLink(place, uri),
  allowNonHttpProtocols: false,
});
