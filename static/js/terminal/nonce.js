/** xterm.js puts <style> elements into the page. Under `style-src 'nonce-…'` they count only with the page's nonce. */
let stamped = false;

export function stampStyles(nonce) {
  if (stamped || !nonce) return;
  stamped = true;
  const make = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const element = make(name, options);
    if (String(name).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };
}
