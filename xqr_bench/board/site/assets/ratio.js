// Chooses which of the drawings are shown. The choice stands in the address, after #, so that it can be sent.
"use strict";

const byId = (id) => document.getElementById(id);
const blocks = [...document.querySelectorAll(".block")];
const CHOICES = ["condition", "measure", "part", "kind"];
const VIEWS = ["raw", "centred"];
const wanted = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

function option(text) {
  const made = document.createElement("option");
  made.textContent = text;
  return made;
}

/** Of a condition: the measures it has; the choice is kept where it can be. */
function fillMeasures(chosen) {
  const here = blocks.filter((block) => block.dataset.condition === byId("condition").value);
  const names = [...new Set(here.map((block) => block.dataset.measure))];
  byId("measure").replaceChildren(...names.map(option));
  byId("measure").value = names.includes(chosen) ? chosen : names.includes("multi MAP") ? "multi MAP" : (names[0] ?? "");
}

function update() {
  const chosen = Object.fromEntries(CHOICES.map((name) => [name, byId(name).value]));
  for (const block of blocks) block.hidden = CHOICES.some((name) => block.dataset[name] !== chosen[name]);
  for (const view of VIEWS) byId("curves").classList.toggle(`without-${view}`, !byId(view).checked);
  for (const view of VIEWS) if (!byId(view).checked) chosen[view] = "no";
  history.replaceState(null, "", "#" + new URLSearchParams(chosen));
}

for (const name of ["condition", "part", "kind"]) {
  if ([...byId(name).options].some((one) => one.value === wanted.get(name))) byId(name).value = wanted.get(name);
}
fillMeasures(wanted.get("measure"));
for (const view of VIEWS) byId(view).checked = wanted.get(view) !== "no";
byId("condition").addEventListener("change", () => fillMeasures(byId("measure").value));
byId("controls").addEventListener("change", update);
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("controls").hidden = false;
const place = location.hash;
update();
if (place && !place.includes("=")) {
  history.replaceState(null, "", place);
  document.getElementById(place.slice(1))?.scrollIntoView();
}
