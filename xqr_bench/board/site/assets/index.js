// The main table: DataTables sorts and searches; what a column shows is chosen above it.
const $ = globalThis.datatables.jQuery;
const byId = (id) => document.getElementById(id);
const TEXT = { "cross-into": "into", "cross-out-of": "out of", "cross-within": "within" };
// `cell`: where the figure stands among those of its task
const slots = [
  { slot: "monolingual", setting: "monolingual", cell: 0 },
  { slot: "cross-lingual", setting: "cross-lingual", cell: 1 },
  { slot: "cross-into", setting: "cross-lingual", cell: 3, way: true },
  { slot: "cross-out-of", setting: "cross-lingual", cell: 4, way: true },
  { slot: "cross-within", setting: "cross-lingual", cell: 5, way: true },
  { slot: "multilingual", setting: "multilingual", cell: 2 },
  { slot: "bias", setting: "multilingual", cell: 0 },
];
const FIRST = 4; // columns before the figures: part (hidden), model, status, kind
const PAGE = 200; // rows
const figures = data.tasks.flatMap((task, place) => slots.map((slot) => ({ task: task.name, place, scale: 1, ...slot })));
const SORTS = ["model", "status", "kind", ...figures.map((column) => `${column.task}:${column.slot}`)]; // of the second column on
const FIRST_SORT = [FIRST + 5, "desc"];
const everything = () => ({ metric: data.tested, languages: "", tasks: new Set(data.tasks.map((task) => task.name)), settings: new Set(data.settings.map(([name]) => name)) });
const chosen = everything();
const partOrder = Object.keys(data.parts);

const isBias = () => metricOf(chosen.metric)?.kind === "bias";
/** The metric of a column: beside a bias measure stands MAP. */
const metricIn = (column) => (isBias() && column.slot !== "bias" ? data.tested : chosen.metric);
const cellOf = (row, column) => figuresOf[metricIn(column)]?.[row.at]?.[column.place]?.[column.cell] ?? null;
/** Of each metric shown: entry -> task -> cells. */
let updates = 0;
let figuresOf = { [data.tested]: data.figures };

/** Read what is chosen; what stands in this page is not read. */
async function readFigures() {
  const [, , stem] = data.chosen.find(([name]) => name === chosen.languages);
  const names = [...new Set([chosen.metric, isBias() ? data.tested : chosen.metric])];
  const here = (name) => name === data.tested && chosen.languages === "";
  const paths = names.map((name) => `figures/${metricOf(name).file}/${stem}.js`);
  const read = await Promise.all(names.map((name, at) => (here(name) ? data.figures : load(paths[at]))));
  return { missing: paths.filter((_, at) => read[at] === null), read: Object.fromEntries(names.map((name, at) => [name, read[at]])) };
}

/** Marks are there where the JSON brings a test: one metric over all languages. */
function standingOf(row, column) {
  const tested = chosen.languages === "" && column.slot !== "bias" && !column.way && metricIn(column) === data.tested;
  const [place, verdict] = (tested && data.standings[row.at][column.place]?.[column.cell]) || [];
  return place ? { place, verdict: data.verdicts[verdict] } : null;
}

function interval(cell, scale) {
  const x = (value) => (100 * Math.min(1, Math.max(0, value / scale))).toFixed(2);
  const [value, low, high] = cell;
  const drawn = [svg("line", { class: "track", x1: 0, x2: 100, y1: 4, y2: 4 }), svg("line", { class: "fill", x1: 0, x2: x(value), y1: 4, y2: 4 })];
  if (low !== null && low !== undefined) drawn.push(svg("line", { class: "span", x1: x(low), x2: Math.max(x(high), +x(low) + 1.5), y1: 4, y2: 4 }));
  return svg("svg", { class: "ci", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, ...drawn);
}

/** Bars of scores run from 0 to 1, of other measures from 0 to the greatest value shown. */
function scaleOf(column) {
  if (column.slot !== "bias") return 1;
  const tops = data.entries.map((row) => cellOf(row, column)).filter(Array.isArray).map((cell) => Math.max(...cell.slice(0, 4).filter((value) => value !== null)));
  return Math.max(...tops, 1);
}

function shown(row, column) {
  const cell = cellOf(row, column);
  if (cell === null) return el("span", { class: "vh", text: "not measured" });
  if (!Array.isArray(cell)) return el("span", { class: "none", title: cell, text: UNDEFINED }, el("span", { class: "vh", text: " undefined: " + cell }));
  const standing = standingOf(row, column);
  let mark = null;
  let title = inWords(cell);
  if (standing) {
    title += `; place ${standing.place}: ${standing.verdict}`;
    if (standing.verdict === "best") mark = el("span", { class: "mark best", text: " ●" }, el("span", { class: "vh", text: " the best" }));
    else if (standing.verdict !== "below the best") mark = el("span", { class: "mark tied", text: " ○" }, el("span", { class: "vh", text: " cannot be told apart from the best" }));
  }
  const random = column.slot === "bias" ? cell[3] : null;
  const range = cell[4] & 1 ? el("span", { class: "range", text: "‡" })
    : cell[1] === null || cell[1] === undefined ? null : el("span", { class: "range", text: `${number(cell[1])} to ${number(cell[2])}` });
  return el(
    "div",
    { title },
    el("span", { class: "value", text: number(cell[0]) }),
    mark,
    range,
    random === null || random === undefined ? null : el("small", { text: `random ${number(random)}` }),
    interval(cell, column.scale),
  );
}

/** Beside a model: languages whose texts it does not tell apart; with a language chosen, only where that is one. */
function unrepresentedMark(row) {
  const chosenLanguage = chosen.languages.startsWith("l:") ? chosen.languages.slice(2) : null;
  const found = Object.entries(row.unrepresented).filter(([, codes]) => chosenLanguage === null || codes.includes(chosenLanguage));
  if (!found.length) return null;
  const text = `does not tell the queries of these languages apart: ${found.map(([task, codes]) => `${codes.join(", ")} of ${task}`).join("; ")}`;
  return el("span", { class: "mark", title: text, text: " †" }, el("span", { class: "vh", text: " " + text }));
}

function modelCell(row) {
  const protocol = ["standard", "as published"].includes(row.protocol) ? null : el("small", {}, isolated(row.protocol));
  const variant = row.part === "published" ? el("small", {}, isolated(row.version)) : null;
  const phone = el("div", { class: "phone" }, row.part === "published" ? null : el("small", { text: row.kind }), statusCell(row));
  return el("div", {}, el("a", { href: pageOf(row) }, isolated(row.model)), unrepresentedMark(row), variant, protocol, phone);
}

function statusCell(row) {
  const names = [...new Set(Object.values(row.statuses))];
  const tasks = (name) => Object.keys(row.statuses).filter((task) => row.statuses[task] === name).join(", ");
  return el("div", {}, ...names.map((name) => el("span", { class: "chip " + name, title: tasks(name), text: name + (names.length > 1 ? `: ${tasks(name)}` : "") })));
}

/** DataTables decodes text that it searches as HTML; so it is given none. */
const searchable = (text) => text.toLowerCase().replace(/[&<>]/g, " ");

function visible(column) {
  if (!chosen.tasks.has(column.task)) return false;
  if (column.setting && !taskOf(column.task).settings.includes(column.setting)) return false;
  if (column.slot === "bias") return isBias();
  if (isBias()) return column.setting !== "cross-lingual";
  if (!chosen.settings.has(column.setting)) return false;
  if (column.setting !== "cross-lingual") return true;
  return chosen.languages.startsWith("g:") === Boolean(column.way);
}

function heading(column) {
  const label = data.settings.find(([name]) => name === column.setting)[1] + (TEXT[column.slot] ? `, ${TEXT[column.slot]}` : "");
  return el("span", {}, column.slot === "bias" ? metricOf(chosen.metric).label : label, isBias() && column.slot !== "bias" ? el("small", { text: metricOf(data.tested).label }) : "");
}

/** A table with two rows of headings: tasks, then settings. */
function emptyTable() {
  const lower = figures.map((column, place) => el("th", { scope: "col", class: place % slots.length ? null : "task" }, heading(column)));
  return el(
    "table",
    {},
    el("caption", { id: "caption" }),
    el(
      "thead",
      {},
      el("tr", {}, ...["Part", "Model", "Status", "Kind"].map((text) => el("th", { scope: "col", rowspan: 2, text })), ...data.tasks.map((task) => el("th", { scope: "colgroup", colspan: slots.length, text: task.name, title: task.title, "data-dt-order": "disable" }))),
      el("tr", {}, ...lower),
    ),
  );
}

// Undefined figures stand last, whichever way a column is sorted.
const order = $.fn.dataTable.ext.type.order;
order["figure-asc"] = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a - b);
order["figure-desc"] = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : b - a);

function figureColumn(column, place) {
  return {
    data: null,
    type: "figure",
    className: place % slots.length ? "" : "task",
    orderSequence: ["desc", "asc"],
    render: (_, type, row) => (type === "display" ? shown(row, column) : type === "sort" || type === "type" ? valueOf(cellOf(row, column)) : ""),
  };
}

const textColumn = (text, display, more = {}) => ({
  data: null,
  type: "string",
  orderSequence: ["asc", "desc"],
  render: (_, type, row) => (type === "display" ? display(row) : searchable(text(row))),
  ...more,
});

byId("board").replaceChildren(emptyTable());
const table = $("#board table").DataTable({
  data: data.entries,
  paging: data.entries.length > PAGE,
  pageLength: PAGE,
  autoWidth: false,
  layout: { topStart: null, topEnd: null, bottomStart: data.entries.length > PAGE ? { paging: { numbers: 5 } } : null, bottomEnd: null },
  orderFixed: { pre: [[0, "asc"]] },
  order: [FIRST_SORT],
  rowGroup: { dataSrc: (row) => data.parts[row.part], startRender: (rows, group) => $(el("span", { text: group })) },
  language: { zeroRecords: "No row has all that.", emptyTable: "No record has been submitted yet." },
  columns: [
    { data: null, visible: false, render: (_, type, row) => partOrder.indexOf(row.part) },
    textColumn((row) => `${row.model} ${row.version} ${row.protocol}`, modelCell, { cellType: "th", createdCell: (cell) => cell.setAttribute("scope", "row") }),
    textColumn((row) => Object.values(row.statuses).join(" "), statusCell, { className: "wide" }),
    textColumn((row) => row.kind, (row) => el("span", { text: row.kind }), { className: "wide" }),
    ...figures.map(figureColumn),
  ],
  createdRow: (line, row) => line.classList.add(row.part),
});

const filters = [...document.querySelectorAll("[data-filter]")];
for (const select of filters) {
  const name = select.dataset.filter;
  table.search.fixed(name, (_, row) => {
    if (!select.value) return true;
    if (name === "status") return Object.values(row.statuses).includes(select.value);
    // published rows have no protocol, index or exposure of their own
    return row[name] === select.value || (row.part === "published" && name !== "kind");
  });
}

// A row that has nothing in the columns shown is not shown.
table.search.fixed("figures", (_, row) => {
  const columns = figures.filter(visible);
  return !columns.length || columns.some((column) => cellOf(row, column) !== null);
});

function caption() {
  const metric = metricOf(chosen.metric);
  const of = byId("languages").selectedOptions[0]?.textContent ?? "";
  byId("caption").replaceChildren(el("span", { text: `${metric.label}, ${of}: ${data.caption}` }));
  const both = chosen.languages.startsWith("g:") && !isBias() ? " Into: candidates in the group only; out of: queries in it only; within: both." : "";
  byId("explain").textContent = `${metric.label}: ${metric.summary}.${both}` + (isBias() ? " It describes and does not rank: read it beside MAP and the random ranking." : "");
  byId("explain").hidden = false;
}

/** Everything anew after a choice, once its figures are read. */
async function update() {
  const asked = ++updates;
  byId("board").setAttribute("aria-busy", true);
  const { missing, read } = await readFigures();
  if (asked !== updates) return; // chosen anew meanwhile
  complain(missing);
  figuresOf = read;
  for (const column of figures) column.scale = scaleOf(column);
  figures.forEach((column, place) => {
    table.column(FIRST + place).visible(visible(column), false);
    table.column(FIRST + place).header().querySelector(".dt-column-title").replaceChildren(heading(column));
  });
  byId("settings").querySelectorAll("input").forEach((box) => (box.disabled = isBias()));
  caption();
  table.rows().invalidate("data");
  const [[sorted]] = table.order().length ? table.order() : [[FIRST]];
  if (sorted >= FIRST && !table.column(sorted).visible()) {
    const first = figures.findLastIndex((column) => visible(column));
    table.order(first < 0 ? [1, "asc"] : [FIRST + first, "desc"]);
  }
  table.columns.adjust().draw();
  byId("board").setAttribute("aria-busy", false);
  byId("rest").classList.remove("waits");
}

table.on("draw", () => {
  // DataTables takes the direction for aria-sort from the first order, which here is the fixed one of the parts
  const direction = table.order()[0]?.[1] === "asc" ? "ascending" : "descending";
  document.querySelector("#board th[aria-sort]")?.setAttribute("aria-sort", direction);
  const info = table.page.info();
  const here = info.pages > 1 ? `rows ${info.start + 1} to ${info.end}; ` : "";
  byId("shown").textContent = `${here}${info.recordsDisplay} of ${info.recordsTotal} rows` + (info.recordsDisplay < info.recordsTotal ? "; the others are filtered out, or have no figure in these columns" : "");
  if (listening) writeAddress(inAddress(), typing);
});

function boxes(place, values, set) {
  byId(place).replaceChildren(
    ...values.map(([value, text]) => {
      const box = el("input", { type: "checkbox", value, checked: set.has(value) });
      box.addEventListener("change", () => {
        if (box.checked) set.add(value);
        else set.delete(value);
        update();
      });
      return el("label", {}, box, text);
    }),
  );
}

function languageOptions() {
  const of = (kind) => data.chosen.filter(([name]) => name.startsWith(kind));
  return [...data.chosen.filter(([name]) => name === ""), ["Groups", of("g:")], ["Query language", of("l:")]].filter(([, more]) => more.length);
}

// The choice stands in the address: what departs from a first view.

const NONE = "none"; // of several that can be chosen
let listening = false; // whether what is drawn was chosen on the page, and not by the address
let typing = false;
const known = {
  search: null,
  metric: data.metrics.map((metric) => metric.name),
  languages: data.chosen.map(([name]) => name),
  task: [...data.tasks.map((task) => task.name), NONE],
  setting: [...data.settings.map(([name]) => name), NONE],
  ...Object.fromEntries(filters.map((select) => [select.dataset.filter, [...select.options].slice(1).map((one) => one.value)])),
  sort: SORTS,
  order: ["asc", "desc"],
  intervals: ["yes"],
  page: Array.from({ length: Math.ceil(data.entries.length / PAGE) || 1 }, (_, at) => String(at + 1)),
};

function inAddress() {
  const pairs = [];
  const add = (name, value, usual) => value !== usual && pairs.push([name, value]);
  const addAll = (name, set, all) => {
    if (set.size < all.length) for (const value of set.size ? all.filter((one) => set.has(one)) : [NONE]) pairs.push([name, value]);
  };
  add("search", byId("search").value, "");
  add("metric", chosen.metric, data.tested);
  add("languages", chosen.languages, "");
  addAll("task", chosen.tasks, known.task.slice(0, -1));
  addAll("setting", chosen.settings, known.setting.slice(0, -1));
  for (const select of filters) add(select.dataset.filter, select.value, "");
  const [[column, direction]] = table.order().length ? table.order() : [FIRST_SORT];
  if (column !== FIRST_SORT[0] || direction !== FIRST_SORT[1]) pairs.push(["sort", SORTS[column - 1]], ["order", direction]);
  if (byId("ranges").checked) pairs.push(["intervals", "yes"]);
  add("page", String(table.page.info().page + 1), "1");
  return pairs;
}

async function fromAddress() {
  const { found, strange } = readAddress(known);
  const last = (name) => found[name]?.at(-1);
  const several = (values, all) => (values ? new Set(values.filter((value) => value !== NONE)) : all);
  const all = everything();
  Object.assign(chosen, { metric: last("metric") ?? all.metric, languages: last("languages") ?? "", tasks: several(found.task, all.tasks), settings: several(found.setting, all.settings) });
  for (const select of filters) select.value = last(select.dataset.filter) ?? "";
  byId("search").value = last("search") ?? "";
  byId("ranges").checked = last("intervals") === "yes";
  showChoice();
  const column = last("sort") ? SORTS.indexOf(last("sort")) + 1 : FIRST_SORT[0];
  if (last("sort") && column >= FIRST && !visible(figures[column - FIRST])) strange.push(`sort=${last("sort")} (that column is not shown)`);
  sayStrange(strange);
  table.order([[column, last("order") ?? (column < FIRST ? "asc" : "desc")]]).search(searchable(byId("search").value));
  listening = false;
  await update();
  if (last("page")) table.page(last("page") - 1).draw("page");
  listening = true;
}

/** The controls as chosen. */
function showChoice() {
  for (const name of ["metric", "languages"]) byId(name).value = chosen[name];
  boxes("tasks", data.tasks.map((task) => [task.name, task.name]), chosen.tasks);
  boxes("settings", data.settings, chosen.settings);
  byId("board").classList.toggle("ranges", byId("ranges").checked);
}

fill(byId("metric"), metricOptions());
fill(byId("languages"), languageOptions());
for (const name of ["metric", "languages"]) byId(name).addEventListener("change", (event) => ((chosen[name] = event.target.value), update()));
byId("search").addEventListener("input", (event) => {
  typing = true; // letters are no steps of the back button
  table.search(searchable(event.target.value)).draw();
  typing = false;
});
byId("ranges").addEventListener("change", (event) => {
  byId("board").classList.toggle("ranges", event.target.checked);
  writeAddress(inAddress());
});
for (const select of filters) select.addEventListener("change", () => table.draw());
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("controls").addEventListener("reset", () =>
  setTimeout(() => {
    Object.assign(chosen, everything());
    showChoice();
    sayStrange([]);
    table.search("").order([FIRST_SORT]);
    update();
  }),
);
onAddress(fromAddress);
fromAddress();
