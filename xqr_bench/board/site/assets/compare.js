// Two models side by side, and more in the tests. The choice stands in the address, after #, so that it can be sent.
const byId = (id) => document.getElementById(id);
const PAIR_METRIC = "map";
const entryOf = (key) => data.entries.find((entry) => entry.key === key);
const pathOf = (entry) => `models/${entry.key}.js`;
const NO_FIGURES = { scores: {}, bias: {}, standing: {}, record: {}, pairs: {} };
let updates = 0;
const wanted = new URLSearchParams(location.hash.slice(1));

const named = (entry) => {
  const twins = data.entries.filter((other) => other.model === entry.model && other.part === entry.part);
  const more = [twins.length > 1 || entry.part === "published" ? entry.version.slice(0, 12) : "", ["standard", "as published"].includes(entry.protocol) ? "" : entry.protocol];
  return entry.model + (more.filter(Boolean).length ? ` (${more.filter(Boolean).join(", ")})` : "");
};

/** Models that have the task, by part of the leaderboard. */
function modelOptions(task) {
  return Object.entries(data.parts)
    .map(([part, title]) => [title.split(":")[0], data.entries.filter((entry) => entry.part === part && entry.statuses[task]).map((entry) => [entry.key, named(entry)])])
    .filter(([, options]) => options.length);
}

/** With its sign; below 10 with as many digits everywhere, so that differences line up. */
function signed(value, digits = 4) {
  if (value === null) return UNDEFINED;
  const text = Math.abs(value) < 10 ? value.toFixed(digits).replace("-", "−") : number(value);
  return (value > 0 ? "+" : "") + text;
}

function figureOf(entry, task, setting, chosen, metric) {
  const scores = metricOf(metric)?.kind === "bias" ? entry.bias[task] : entry.scores[task]?.[setting];
  return scores?.[chosen]?.[metric] ?? null;
}

/** B minus A, where both are known. */
function difference(a, b) {
  const [left, right] = [valueOf(a), valueOf(b)];
  return left === null || right === null ? null : right - left;
}

function deltaBar(value, scale) {
  const width = Math.min(50, (50 * Math.abs(value)) / scale);
  return svg(
    "svg",
    { class: "delta", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: value < 0 ? "minus" : "plus", x: value < 0 ? 50 - width : 50, y: 2, width, height: 6 }),
    svg("line", { class: "zero", x1: 50, x2: 50, y1: 0, y2: 10 }),
  );
}

function shown(cell) {
  if (cell === null) return el("span", { class: "none", text: "not measured" });
  if (!Array.isArray(cell)) return el("span", { class: "none", title: cell, text: UNDEFINED }, el("span", { class: "vh", text: " undefined: " + cell }));
  return el("span", { class: "value", title: inWords(cell), text: number(cell[0]) });
}

function differenceCell(a, b, scale) {
  const value = difference(a, b);
  if (value === null) return el("td", {}, el("span", { class: "none", text: UNDEFINED }, el("span", { class: "vh", text: " not known for both" })));
  return el("td", {}, el("span", { class: value < 0 ? "minus" : "plus", text: signed(value) }), deltaBar(value, scale));
}

const row = (head, ...cells) => el("tr", {}, el("th", { scope: "row", text: head }), ...cells);
const heads = (...texts) => el("thead", {}, el("tr", {}, ...texts.map((text) => el("th", { scope: "col", text }))));

/** Lines of (name, figure of A, figure of B), all bars on one scale. */
function scaleOf(lines) {
  return Math.max(...lines.map(([, a, b]) => Math.abs(difference(a, b) ?? 0)), 1e-9);
}

function bySetting(task, a, b, metric) {
  const bias = metricOf(metric).kind === "bias";
  const settings = bias ? [["multilingual", "Multilingual"]] : data.settings;
  const lines = [];
  for (const [setting, label] of settings) {
    const figure = (entry, chosen) => figureOf(entry, task, setting, chosen, metric);
    lines.push([label, figure(a, ""), figure(b, "")]);
    for (const [group, text] of taskOf(task).groups) {
      const ways = setting === "cross-lingual" && !bias ? [":into", ":out-of", ":within"] : [""];
      for (const way of ways) lines.push([`${label}, ${text}${way.replace(":", ", ").replace("-", " ")}`, figure(a, `g:${group}${way}`), figure(b, `g:${group}${way}`)]);
    }
  }
  const known = lines.filter(([, left, right]) => left !== null || right !== null);
  const scale = scaleOf(known);
  byId("by-setting").replaceChildren(
    el("caption", { text: `${metricOf(metric).label} on ${taskOf(task).title}` }),
    heads("Setting", "A", "B", "B − A"),
    el("tbody", {}, ...known.map(([label, left, right]) => row(label, el("td", {}, shown(left)), el("td", {}, shown(right)), differenceCell(left, right, scale)))),
  );
}

function byLanguage(task, a, b, metric) {
  const bias = metricOf(metric).kind === "bias";
  const settings = bias ? [["multilingual", "Multilingual"]] : data.settings;
  const figure = (entry, setting, code) => figureOf(entry, task, setting, "l:" + code, metric);
  const languages = taskOf(task).languages;
  const scale = scaleOf(settings.flatMap(([setting]) => languages.map(([code]) => ["", figure(a, setting, code), figure(b, setting, code)])));
  const lines = languages.map(([code, name]) =>
    row(
      `${name} (${code})`,
      ...settings.map(([setting]) => {
        const [left, right] = [figure(a, setting, code), figure(b, setting, code)];
        const cell = differenceCell(left, right, scale);
        cell.append(el("small", {}, shown(left), " → ", shown(right)));
        return cell;
      }),
    ),
  );
  byId("by-language").replaceChildren(
    el("caption", { text: `${metricOf(metric).label} on ${taskOf(task).title}, B − A, and A → B` }),
    heads("Query language", ...settings.map(([, label]) => label)),
    el("tbody", {}, ...lines),
  );
}

function byPair(task, a, b, metric) {
  const [left, right] = [a.pairs?.[task] ?? {}, b.pairs?.[task] ?? {}];
  const pairs = Object.keys(left).filter((pair) => typeof left[pair] === "number" && typeof right[pair] === "number");
  byId("pairs").hidden = metric !== PAIR_METRIC || !pairs.length;
  if (byId("pairs").hidden) return;
  const scale = Math.max(...pairs.map((pair) => Math.abs(right[pair] - left[pair])), 1e-9);
  const languages = taskOf(task).languages;
  const cell = ([query, queryName], [candidate, candidateName]) => {
    const pair = `${query}>${candidate}`;
    if (!pairs.includes(pair)) return el("td", { class: "none", text: query === candidate ? "" : UNDEFINED });
    const value = right[pair] - left[pair];
    const shade = Math.min(9, Math.floor(5 + (5 * value) / scale));
    return el("td", { class: `shade s${shade}`, title: `${queryName} to ${candidateName}: ${number(left[pair])} to ${number(right[pair])}`, text: signed(value, 3).replace("0.", ".") });
  };
  byId("by-pair").replaceChildren(
    el("caption", { text: "Cross-lingual MAP, B − A; query language (row) to candidate language (column)" }),
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: "query \\ candidates" }), ...languages.map(([code, name]) => el("th", { scope: "col" }, el("abbr", { title: name, text: code }))))),
    el("tbody", {}, ...languages.map((query) => row(`${query[1]} ${query[0]}`, ...languages.map((candidate) => cell(query, candidate))))),
  );
}

/** What a reader must know before the differences. */
function notes(task, a, b) {
  const found = [];
  if (a.key === b.key) found.push("Both are the same row.");
  if (a.part === "published" || b.part === "published") found.push("Published figures come from a paper's own runs: a difference may lie in data, code or protocol, and no test is possible.");
  else if (a.protocol !== b.protocol) found.push(`Different protocols (${a.protocol}; ${b.protocol}): the difference is not one of the models alone.`);
  if (a.part === "reference" || b.part === "reference") found.push("The floor and the ceiling are bounds and do not compete.");
  byId("notes").replaceChildren(...found.map((text) => el("p", { class: "note", dir: "auto", text })));
}

/** Quoted for a shell where it needs it. */
const quoted = (path) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'"'"'`)}'`);

function tests(task, a, b, others) {
  const records = [a, b, ...others].map((entry) => entry.record[task]);
  const all = records.every(Boolean) && a.key !== b.key;
  byId("command").firstChild.textContent = all ? `xqr-bench compare ${records.map((path) => quoted(`leaderboard/${path}`)).join(" ")}` : "xqr-bench compare A.json B.json";
  const found = [];
  if (data.tests[task]) return (byId("tests").hidden = true);
  for (const [setting, label] of data.settings) {
    const [left, right] = [a.standing[task]?.[setting], b.standing[task]?.[setting]];
    const worse = left?.best === b.key ? left : right?.best === a.key ? right : null;
    if (worse && worse.verdict !== "best" && a.key !== b.key) found.push(`${label}: ${worse.verdict} (adjusted p ${pValue(worse.p)} by question, ${pValue(worse.pArticle)} by article)`);
  }
  byId("tests").hidden = !found.length;
  byId("tests").textContent = `One of the two is the best of its contest; the leaderboard's own test of ${metricOf(data.tested).label} against it: ${found.join("; ")}.`;
}

let opened = false; // what is chosen first stands in the address that was opened; each later choice is a step back

async function update() {
  const [task, metric] = [byId("task").value, byId("metric").value];
  const two = [entryOf(byId("a").value), entryOf(byId("b").value)];
  byId("result").hidden = !two.every(Boolean);
  if (byId("result").hidden) return;
  const asked = ++updates;
  fillWith(task, two);
  const chosen = [...two, ...picked()];
  byId("result").setAttribute("aria-busy", true);
  const read = await Promise.all(chosen.map((entry) => load(pathOf(entry))));
  if (asked !== updates) return; // chosen anew meanwhile
  complain(chosen.filter((_, at) => read[at] === null).map(pathOf));
  const [a, b, ...others] = chosen.map((entry, at) => ({ ...entry, ...(read[at] ?? NO_FIGURES) }));
  writeAddress([["a", a.key], ["b", b.key], ["task", task], ["metric", metric], ...others.map(({ key }) => ["with", key])], !opened);
  opened = true;
  const link = (entry) => el("a", { href: pageOf(entry) }, isolated(named(entry)));
  byId("who").replaceChildren("A: ", link(a), el("br"), "B: ", link(b));
  notes(task, a, b);
  bySetting(task, a, b, metric);
  byLanguage(task, a, b, metric);
  byPair(task, a, b, metric);
  tests(task, a, b, others);
  byId("result").setAttribute("aria-busy", false);
  await runTests(task, chosen);
}

/** The entries that are tested with A and B, in the order of the list. */
const picked = () => [...byId("with").querySelectorAll("input:checked")].map((box) => entryOf(box.value));

/** Boxes of the models that can be tested with A and B; those that were chosen stay so. */
function fillWith(task, two) {
  const layout = layoutOf(task, two[0]);
  const like = layout !== null && layoutOf(task, two[1]) === layout && two[0].key !== two[1].key;
  const fitting = like ? data.entries.filter((entry) => layoutOf(task, entry) === layout && !two.includes(entry)) : [];
  const key = fitting.map((entry) => entry.key).join(" ");
  if (byId("with").dataset.fitting === key) return; // boxes made anew would lose the focus
  const before = byId("with").dataset.fitting === undefined ? wanted.getAll("with") : picked().map((entry) => entry.key);
  const box = (entry) => el("label", {}, el("input", { type: "checkbox", value: entry.key, checked: before.includes(entry.key) }), isolated(named(entry)));
  byId("with").replaceChildren(byId("with").querySelector("legend"), ...fitting.map(box));
  if (byId("with").dataset.fitting === undefined)
    for (const lost of before.filter((one) => !fitting.some((entry) => entry.key === one))) missing(`A further model of the address, ${lost}, cannot be tested with these two.`);
  byId("with").dataset.fitting = key;
  byId("more").hidden = !fitting.length;
  if (picked().length) byId("more").open = true;
}

/** The models of the task; a choice is kept where it can be. */
function fillModels(first, second) {
  const options = modelOptions(byId("task").value);
  const keys = options.flatMap(([, models]) => models.map(([key]) => key));
  for (const name of ["a", "b"]) fill(byId(name), options);
  byId("a").value = keys.includes(first) ? first : (keys.find((key) => key !== second) ?? "");
  byId("b").value = keys.includes(second) ? second : (keys.find((key) => key !== byId("a").value) ?? keys[0] ?? "");
  for (const [name, key] of [["first", first], ["second", second]]) if (key && !keys.includes(key)) missing(entryOf(key) ? `The ${name} model, ${entryOf(key).model}, has no row on ${byId("task").value}.` : `The ${name} model of the address, ${key}, is not on this site.`);
}

function missing(text) {
  byId("missing").append(el("span", { dir: "auto", text: `${text} ` }));
  byId("missing").hidden = false;
}

function start() {
  const some = entryOf(wanted.get("a"));
  const tasks = data.tasks.map((task) => task.name).filter((name) => data.entries.some((entry) => entry.statuses[name]));
  fill(byId("task"), tasks.map((name) => [name, taskOf(name).title]));
  byId("task").value = tasks.includes(wanted.get("task")) ? wanted.get("task") : (tasks.find((name) => some?.statuses[name]) ?? tasks[0] ?? "");
  fill(byId("metric"), metricOptions());
  byId("metric").value = metricOf(wanted.get("metric")) ? wanted.get("metric") : data.tested;
  fillModels(wanted.get("a"), wanted.get("b"));
  byId("task").addEventListener("change", () => {
    byId("missing").replaceChildren();
    byId("missing").hidden = true;
    fillModels(byId("a").value, byId("b").value);
    update();
  });
  for (const name of ["a", "b", "metric"]) byId(name).addEventListener("change", update);
  byId("swap").addEventListener("click", () => {
    [byId("a").value, byId("b").value] = [byId("b").value, byId("a").value];
    update();
  });
  byId("with").addEventListener("change", update);
  for (const [id, checked] of [["all", true], ["none", false]])
    byId(id).addEventListener("click", () => {
      for (const box of byId("with").querySelectorAll("input")) box.checked = checked;
      update();
    });
  byId("choice").addEventListener("submit", (event) => event.preventDefault());
  byId("choice").hidden = false;
  onAddress(() => location.reload()); // a link was put into the address of this page, or back was asked for
  sayStrange(readAddress({ task: tasks, a: null, b: null, metric: data.metrics.map(({ name }) => name), with: null }).strange);
  update();
}

start();
