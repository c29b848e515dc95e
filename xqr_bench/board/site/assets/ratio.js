// Chooses which of the drawings are shown.
const byId = (id) => document.getElementById(id);
const blocks = [...document.querySelectorAll(".block")];
const CHOICES = ["measure", "part", "kind"];
const VIEWS = ["raw", "centred"];
const first = Object.fromEntries(CHOICES.map((name) => [name, byId(name).value]));
const known = {
  ...Object.fromEntries(CHOICES.map((name) => [name, [...byId(name).options].map((one) => one.value)])),
  ...Object.fromEntries(VIEWS.map((name) => [name, ["yes", "no"]])),
};

function show() {
  const chosen = Object.fromEntries(CHOICES.map((name) => [name, byId(name).value]));
  for (const block of blocks) block.hidden = CHOICES.some((name) => block.dataset[name] !== chosen[name]);
  for (const view of VIEWS) byId("curves").classList.toggle(`without-${view}`, !byId(view).checked);
  byId("none").hidden = blocks.some((block) => !block.hidden);
}

function fromAddress() {
  const { found, strange } = readAddress(known);
  sayStrange(strange);
  for (const name of CHOICES) byId(name).value = found[name]?.at(-1) ?? first[name];
  for (const view of VIEWS) byId(view).checked = found[view]?.at(-1) !== "no";
  show();
}

byId("controls").addEventListener("change", () => {
  const chosen = CHOICES.filter((name) => byId(name).value !== first[name]).map((name) => [name, byId(name).value]);
  writeAddress([...chosen, ...VIEWS.filter((view) => !byId(view).checked).map((view) => [view, "no"])]);
  show();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
onAddress(fromAddress);
if (!isPlace()) fromAddress();
