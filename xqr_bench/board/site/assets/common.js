// What the main table and the comparison share. Text from submissions reaches the page as text nodes only.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
/** As usual_key() in payload.py. */
function keyOf({ model, version, protocol }) {
  const safe = (text, sign) => text.replace(/[^A-Za-z0-9._-]/gu, sign);
  const parts = [safe(model.replaceAll("/", "__"), "_"), safe(version, "-"), ...(protocol === "standard" ? [] : [safe(protocol, "-")])];
  return parts.join("--").toLowerCase();
}

data.entries = data.entries.map((line, at) => {
  const entry = Object.fromEntries(data.fields.map((name, place) => [name, data.values[name] ? data.values[name][line[place]] : line[place]]));
  return { ...entry, at, key: entry.key ?? keyOf(entry) };
});
const UNDEFINED = "–";
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (`text` is its text) and children; a null child is left out. */
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Untrusted text, kept from turning the line around it. */
const isolated = (text) => el("bdi", { dir: "auto", text });

/** Three or four digits, as number() in text.py. */
function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNDEFINED;
  const size = Math.abs(value);
  const digits = size >= 1000 || value === 0 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.01 ? 3 : 4;
  const [whole, rest] = size.toFixed(digits).split(".");
  return (value < 0 ? "−" : "") + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (rest ? "." + rest : "");
}

function pValue(value) {
  if (value === null || value === undefined) return UNDEFINED;
  return value < 0.001 ? "<0.001" : value.toFixed(3);
}

const metricOf = (name) => data.metrics.find((metric) => metric.name === name);
const pageOf = (entry) => `models/${entry.key}.html`;
const taskOf = (name) => data.tasks.find((task) => task.name === name);

/** A figure is [value, low, high, random, thin, article low, article high], cut after the last one known, or the reason
 * for none. thin: 1 where fewer than 10 questions carry the figure, 2 where fewer than 10 articles do, 3 both. */
const valueOf = (cell) => (Array.isArray(cell) ? cell[0] : null);

function inWords(cell) {
  const [value, low, high, random, thin, articleLow, articleHigh] = cell;
  let text = number(value);
  if (low !== null && low !== undefined) text += `, ${data.level} interval over questions ${number(low)} to ${number(high)}`;
  if (articleLow !== null && articleLow !== undefined) text += `, over articles ${number(articleLow)} to ${number(articleHigh)}`;
  if (thin) text += `, carried by fewer than 10 ${["", "questions", "articles", "questions and articles"][thin]}`;
  if (random !== null && random !== undefined) text += `; a random ranking: ${number(random)}`;
  return text;
}

/** Options of a select; a group of them is [label, options]. */
function fill(select, options) {
  select.replaceChildren(
    ...options.map(([value, label]) =>
      Array.isArray(label)
        ? el("optgroup", { label: value }, ...label.map(([inner, text]) => el("option", { value: inner, text })))
        : el("option", { value, text: label }),
    ),
  );
}

/** Measures by kind. */
function metricOptions() {
  const of = (kind) => data.metrics.filter((metric) => metric.kind === kind).map((metric) => [metric.name, metric.label]);
  return [["Scores", of("score")], ["Bias (multilingual)", of("bias")]].filter(([, options]) => options.length);
}

/** Files of this site: each is one call of `receive` with JSON text. A page from disk may read no file but as a script. */
const files = new Map();
globalThis.receive = (text) => (document.currentScript.received = JSON.parse(text));

function load(path) {
  if (!files.has(path)) {
    const script = el("script", { src: path });
    const read = new Promise((resolve) => {
      script.addEventListener("load", () => resolve(script.received ?? null));
      script.addEventListener("error", () => resolve(null));
    });
    files.set(path, read);
    document.head.append(script);
  }
  return files.get(path);
}

/** Says so, where a file could not be read. */
function complain(paths) {
  document.getElementById("unread").textContent = `Not all figures could be read: ${paths.join(", ")} of this site is missing.`;
  document.getElementById("unread").hidden = !paths.length;
}
