/** Every page loads this; each behaviour is its own module and finds its elements by data attributes. */
import "./address.js";
import "./htmx.js";
import "./live.js";
import "./theme.js";
import "./usage.js";
import "./copy.js";
import "./times.js";
import "./confirm.js";
import "./palette.js";
import "./passkeys.js";
import "./keys.js";
import "./toasts.js";
import "./menus.js";
import "./forms.js";
import "./keep_form.js";
import "./select.js";
