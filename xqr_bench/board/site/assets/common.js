// What the main table and the comparison share. Text from submissions reaches the page as text nodes only.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
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
const taskOf = (name) => data.tasks.find((task) => task.name === name);

/** Figures stand in the page as [value, low, high, article low, article high, random, thin], or the reason for none.
 * thin: 1 where fewer than 10 questions carry the figure, 2 where fewer than 10 articles do, 3 both. */
const valueOf = (cell) => (Array.isArray(cell) ? cell[0] : null);

function figureOf(entry, task, setting, chosen, metric) {
  const scores = metricOf(metric)?.kind === "bias" ? entry.bias[task] : entry.scores[task]?.[setting];
  return scores?.[chosen]?.[metric] ?? null;
}

function inWords(cell) {
  const [value, low, high, articleLow, articleHigh, random, thin] = cell;
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

/** Measures by kind, only those that some entry has. */
function metricOptions() {
  const known = new Set();
  for (const entry of data.entries) {
    for (const of of Object.values(entry.scores)) for (const parts of Object.values(of)) Object.keys(parts[""]).forEach((name) => known.add(name));
    for (const parts of Object.values(entry.bias)) Object.keys(parts[""]).forEach((name) => known.add(name));
  }
  const of = (kind) => data.metrics.filter((metric) => metric.kind === kind && known.has(metric.name)).map((metric) => [metric.name, metric.label]);
  return [["Scores", of("score")], ["Bias (multilingual)", of("bias")]].filter(([, options]) => options.length);
}
