/** Times as the reader's profile has them, whatever this browser's own clock and language are. */
const { lang, dataset } = document.documentElement;
const LANGUAGE = lang || "en";

/** UTC where a browser is older than the zone; its times say so then. */
function known(zone) {
  try {
    new Intl.DateTimeFormat(LANGUAGE, { timeZone: zone });
    return zone;
  } catch {
    return "";
  }
}
const found = known(dataset.zone || "UTC");
export const ZONE = found || "UTC";
const place = { timeZone: ZONE, ...(found ? {} : { timeZoneName: "short" }) };

const format = (options) => new Intl.DateTimeFormat(LANGUAGE, { ...options, ...place });
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const minutes = format(TIME);
const seconds = format({ ...TIME, second: "2-digit" });
const whole = format({ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" });

/** A moment is what `Date` takes: milliseconds, or a text of the API's. */
export const timeOfDay = (moment, isExact = false) => (isExact ? seconds : minutes).format(new Date(moment));
export const dateAndTime = (moment) => whole.format(new Date(moment));
