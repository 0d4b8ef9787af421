/** Whether a key was meant for a field, a terminal or an open dialog, and not for the page.
 *
 * A dialog that was just closed keeps the focus until the browser draws again: keys that come before are the page's.
 */
export function typing(event) {
  const place = event.target.closest?.("dialog, input, textarea, select, .terminal, .xterm");
  return Boolean(place) && !event.target.closest("dialog:not([open])");
}
