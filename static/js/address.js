/** The answer to a form that was refused stands under the address of its page: a reload sends nothing again. */
const { pageUrl } = document.body.dataset;
if (pageUrl) history.replaceState(history.state, "", pageUrl);
