/** On the page that says what isn't available now: looks every few seconds, and loads anew once it is there. */
const EVERY_MS = 4000;

async function look() {
  const asked = fetch(location.href, { method: "HEAD", cache: "no-store" });
  const back = await asked.then((answer) => answer.status < 500, () => false);
  if (back) location.reload();
  else setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
