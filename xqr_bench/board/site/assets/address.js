// What is chosen on a page stands in its address, after #, as name=value: so a view can be sent, and back takes a choice back.
"use strict";

const MOST = 12; // values that are named where one is not known
const brief = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
const whole = () => location.href.split("#")[0];

/** Whether the address names a place on the page, and no choice. */
const isPlace = () => location.hash.length > 1 && !location.hash.includes("=");

/** What the address asks for: name -> values, and of what there is none, in words for `sayStrange`.
 * A place on the page asks for nothing.
 * @param known name -> the values that there are, or null where any text will do.
 */
function readAddress(known) {
  const found = {};
  const strange = [];
  for (const [name, value] of new URLSearchParams(isPlace() ? "" : location.hash.slice(1))) {
    const values = Object.hasOwn(known, name) ? known[name] : undefined;
    if (values === undefined) strange.push(`${brief(name)} (what can be chosen: ${Object.keys(known).join(", ")})`);
    else if (values !== null && !values.includes(value)) {
      const more = values.length > MOST ? ` and ${values.length - MOST} more` : "";
      strange.push(`${name}=${brief(value)} (there is: ${values.slice(0, MOST).join(", ")}${more})`);
    } else (found[name] ??= []).push(value);
  }
  return { found, strange };
}

/** An address is not followed in part without a word. */
function sayStrange(strange) {
  const place = document.getElementById("strange");
  place.hidden = !strange.length;
  place.textContent = strange.length ? `The address asks for what is not here, and the rest of it is shown. Not here: ${strange.join("; ")}.` : "";
}

/** Put the choice, pairs of name and value, into the address.
 * @param replace instead of a new step for the back button.
 */
function writeAddress(pairs, replace = false) {
  const text = String(new URLSearchParams(pairs));
  if (text === (isPlace() ? "" : location.hash.slice(1))) return;
  history[replace ? "replaceState" : "pushState"](null, "", text ? `#${text}` : whole());
}

/** Called when the address changes otherwise: back, forward, or one typed in. */
function onAddress(apply) {
  addEventListener("popstate", () => isPlace() || apply());
}
