// The tests of the comparison: read what they need, run them (paired.js), and say what they found.
const PAIRS_SHOWN = 135; // pairs of rows in a table; of more, only those of A and B
const IN_SETTING = { monolingual: "within one language", "cross-lingual": "across languages", multilingual: "in the pool of all languages" };
let running = 0;

/** Four digits, as `compare` prints them. */
const digits = (value, sign = false) => (value === null || !Number.isFinite(value) ? UNDEFINED : (sign && value > 0 ? "+" : "") + value.toFixed(4).replace("-", "−"));
const probability = (p) => (p < 0.00005 ? "<0.0001" : p > 0.99995 ? "1" : p.toFixed(4));
const ends = (interval, thin) => (interval === null ? UNDEFINED : `${digits(interval[0])} to ${digits(interval[1])}${thin ? " ‡" : ""}`);
const listed = (texts) => (texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`);

/** Number of the layout of an entry on a task; null where it has no values of questions. */
const layoutOf = (task, entry) => data.tests[task]?.layouts[entry.at] ?? null;

/** The layouts of a task, and of each entry its values; null where a file is missing. */
async function readValues(task, entries) {
  const { folder } = data.tests[task];
  const paths = [`questions/${folder}.js`, ...entries.map((entry) => `questions/${folder}/${entry.key}.js`)];
  const read = await Promise.all(paths.map(load));
  return { missing: paths.filter((_, at) => read[at] === null), common: read[0], rows: read.slice(1) };
}

/** Why rows cannot be compared, as `compare` says it; an empty text where they can. */
function differing(task, entries, common) {
  const without = entries.filter((entry) => layoutOf(task, entry) === null);
  if (without.length) return `${listed(without.map(named))}: no ranks are known here, so that nothing can be tested.`;
  const first = layoutOf(task, entries[0]);
  for (const entry of entries) {
    const other = layoutOf(task, entry);
    if (other === first) continue;
    const why = common?.unlike[[Math.min(first, other), Math.max(first, other)]];
    return `${named(entries[0])} and ${named(entry)} cannot be compared${why ? `: they differ in ${why}` : ""}. Compare records of the same task data, pool and protocol.`;
  }
  return "";
}

/** Run the tests of these entries, A and B first, and show them. */
async function runTests(task, entries) {
  const asked = ++running;
  const section = byId("chance");
  const say = (text) => (byId("progress").textContent = text);
  for (const id of ["verdict", "test-note"]) byId(id).replaceChildren();
  for (const id of ["tested", "groups", "all-pairs"]) byId(id).hidden = true;
  say("");
  if (entries[0].key === entries[1].key) return;
  section.setAttribute("aria-busy", true);
  try {
    const untested = data.tests[task] ? differing(task, entries, null) : "This page holds no values of single questions: it was built from a JSON file, without ranks.";
    if (untested) {
      const common = data.tests[task] ? await load(`questions/${data.tests[task].folder}.js`) : null;
      if (asked === running) byId("verdict").textContent = data.tests[task] ? differing(task, entries, common) : untested;
      return;
    }
    say("reading");
    const { missing: unread, common, rows } = await readValues(task, entries);
    if (asked !== running) return;
    if (unread.length) return complain(unread);
    const layout = common.layouts[layoutOf(task, entries[0])];
    const tests = await compared(layout, rows, new Slices(() => asked === running, say));
    (entries.length > 2 ? showMany : showTwo)(task, layout, entries, tests);
    byId("test-note").replaceChildren(...remarks(task, layout, entries, rows, tests).map((text) => el("p", { dir: "auto", text })));
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  } finally {
    if (asked === running) {
      say("");
      section.setAttribute("aria-busy", false);
    }
  }
}

const labelOf = (setting) => data.settings.find(([name]) => name === setting)[1];

function units(task, layout) {
  const [n, m] = [Math.max(...layout.n), Math.max(...layout.m)].map((count) => count.toLocaleString("en"));
  return `MAP on ${taskOf(task).title}, strict relevance; ${n} questions, each with all its translations, in ${m} articles`;
}

const method = (layout) => `${100 * layout.level}% intervals, ${layout.resamples.toLocaleString("en")} resamples, seed ${layout.seed}, as xqr-bench compare`;

/** One sentence on two rows. */
function sentence(layout, tests) {
  const where = (found) => listed(found.map((test) => `${IN_SETTING[layout.settings[test.setting]]} (by ${digits(Math.abs(test.difference))})`));
  const parts = [];
  for (const [winner, loser, sign] of [["B", "A", 1], ["A", "B", -1]]) {
    const found = tests.filter((test) => test.verdict === SIGNIFICANT && test.difference * sign > 0);
    if (found.length) parts.push(`${winner} is better than ${loser} ${where(found)}`);
  }
  const only = (verdict) => listed(tests.filter((test) => test.verdict === verdict).map((test) => IN_SETTING[layout.settings[test.setting]]));
  if (only(QUESTION_ONLY)) parts.push(`${only(QUESTION_ONLY)} the questions tell the two apart, but the articles, which are few or uneven, do not`);
  if (only(TOO_FEW)) parts.push(`${only(TOO_FEW)} the questions tell the two apart, but ${Math.max(...layout.m)} articles are too few to judge by article`);
  if (only(NOT_TOLD_APART)) parts.push(parts.length ? `${only(NOT_TOLD_APART)} they cannot be told apart` : `The two cannot be told apart: ${only(NOT_TOLD_APART)} the difference may be chance`);
  const text = parts.join("; ");
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** The intervals beside zero: thick over questions, thin over articles. */
function forest(test, scale) {
  const at = (value) => 50 + (46 * value) / scale;
  const span = (interval, name) => (interval === null ? null : svg("line", { class: name, x1: at(interval[0]), x2: at(interval[1]), y1: 7, y2: 7 }));
  const parts = [svg("line", { class: "zero", x1: 50, x2: 50, y1: 0, y2: 14 }), span(test.articleInterval, "article"), span(test.interval, "question"), svg("circle", { cx: at(test.difference), cy: 7, r: 2.5 })];
  return svg("svg", { class: "forest", viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" }, ...parts.filter(Boolean));
}

const scaleOfTests = (tests) => tests.reduce((most, test) => Math.max(most, ...[test.difference, ...(test.interval ?? []), ...(test.articleInterval ?? [])].map(Math.abs)), 1e-9);
const both = (upper, lower) => el("td", {}, el("span", { class: "value", text: upper }), el("small", { class: "value", text: lower }));

/** Cells of a test: difference, intervals, p-values, verdict; above by question, below by article. */
function cells(test, scale) {
  return [
    el("td", {}, el("span", { class: test.difference < 0 ? "minus" : "plus", text: digits(test.difference, true) }), forest(test, scale)),
    el("td", { class: test.verdict === SIGNIFICANT ? "told" : "", text: test.verdict === TOO_FEW ? `${TOO_FEW} (${test.articles}) to judge by article` : test.verdict }),
    both(ends(test.interval, test.thin[0]), ends(test.articleInterval, test.thin[1])),
    both(probability(test.pAdjusted), probability(test.pArticleAdjusted)),
    both(probability(test.p), probability(test.pArticle)),
  ];
}

const HEADS = ["Verdict", "95% interval by question, by article", "p adjusted by question, by article", "p alone by question, by article"];

function showTwo(task, layout, entries, tests) {
  byId("verdict").textContent = sentence(layout, tests);
  const lines = tests.map((test) =>
    row(
      labelOf(layout.settings[test.setting]),
      ...cells(test, scaleOfTests([test])),
      el("td", { text: digits(test.valueA) }),
      el("td", { text: digits(test.valueB) }),
      el("td", { text: Number.isFinite(test.effect) ? test.effect.toFixed(2).replace("-", "−") : UNDEFINED }),
      both(...test.detectable.map((one) => digits(one))),
    ),
  );
  const over = tests.length === 1 ? "" : `; adjusted by Holm over ${tests.length} settings`;
  byId("tested").replaceChildren(
    el("caption", {}, el("span", { text: `${units(task, layout)}; ${method(layout)}${over}` })),
    heads("Setting", "B − A", ...HEADS, "A", "B", "Effect size", "Smallest difference that 80 of 100 tests find by question, by article"),
    el("tbody", {}, ...lines),
  );
  byId("tested").hidden = false;
}

function showMany(task, layout, entries, tests) {
  const last = layout.settings.length - 1;
  const means = layout.settings.map((_, setting) => entries.map((_, at) => figureIn(tests, at, setting)));
  const told = new Set(tests.filter((test) => test.verdict === SIGNIFICANT).map((test) => [test.setting, test.a, test.b].join()));
  const differ = (setting) => (a, b) => told.has([setting, Math.min(a, b), Math.max(a, b)].join());
  const marks = means.map((of, setting) => letters(differ(setting), of));
  const order = [...entries.keys()].sort((a, b) => means[last][b] - means[last][a]);
  const best = means.map((of) => of.indexOf(Math.max(...of)));
  byId("verdict").replaceChildren(...leaders(layout, entries, best, differ));
  const over = `adjusted by step-down max-T over ${tests.length / layout.settings.length} pairs in ${layout.settings.length} setting${layout.settings.length === 1 ? "" : "s"}`;
  byId("groups").replaceChildren(
    el("caption", {}, el("span", { text: `${units(task, layout)}; rows that share a letter cannot be told apart; ${over}; ${method(layout)}` })),
    heads("Model", ...layout.settings.map(labelOf)),
    el("tbody", {}, ...order.map((at) => el("tr", {}, el("th", { scope: "row" }, isolated(named(entries[at]))), ...means.map((of, setting) => el("td", { class: "value", text: `${digits(of[at])} ${marks[setting][at]}` }))))),
  );
  const few = tests.length / layout.settings.length <= PAIRS_SHOWN;
  const shownTests = few ? tests : tests.filter((test) => test.a < 2);
  const scales = layout.settings.map((_, setting) => scaleOfTests(shownTests.filter((test) => test.setting === setting)));
  byId("pair-tests").replaceChildren(
    el("caption", {}, el("span", { text: `${over}; ${few ? "all pairs" : "pairs of A or B; fewer models show all"}` })),
    heads("Setting", "Second minus first", "Difference", ...HEADS),
    el("tbody", {}, ...shownTests.map((test) => row(labelOf(layout.settings[test.setting]), el("td", {}, isolated(named(entries[test.b])), " − ", isolated(named(entries[test.a]))), ...cells(test, scales[test.setting])))),
  );
  byId("groups").hidden = byId("all-pairs").hidden = false;
}

/** The figure of a row in a setting, from any test that it is in. */
function figureIn(tests, at, setting) {
  const test = tests.find((one) => one.setting === setting && (one.a === at || one.b === at));
  return test.a === at ? test.valueA : test.valueB;
}

/** "Best within one language and across languages: X; not told apart from it: Y." Settings of one outcome together. */
function leaders(layout, entries, best, differ) {
  const outcomes = new Map();
  best.forEach((leader, setting) => {
    const near = [...entries.keys()].filter((at) => at !== leader && !differ(setting)(leader, at));
    const key = [leader, ...near].join();
    outcomes.set(key, { leader, near, settings: [...(outcomes.get(key)?.settings ?? []), layout.settings[setting]] });
  });
  return [...outcomes.values()].flatMap(({ leader, near, settings }) => {
    const names = near.flatMap((at, place) => [place ? ", " : "", isolated(named(entries[at]))]);
    const rest = near.length === entries.length - 1 ? [", and no other can be told apart from it. "] : near.length ? ["; not told apart from it: ", ...names, ". "] : [", told apart from all others. "];
    return [`Best ${listed(settings.map((setting) => IN_SETTING[setting]))}: `, isolated(named(entries[leader])), ...rest];
  });
}

/** What is to be known of the tests. */
function remarks(task, layout, entries, rows, tests) {
  const found = [];
  const same = rows.map((one, at) => [at, rows.findIndex((other) => other.digest === one.digest)]).filter(([at, first]) => first < at);
  for (const [at, first] of same) found.push(`${named(entries[first])} and ${named(entries[at])} have the same ranks: nothing can differ.`);
  if (entries.length === 2)
    for (const test of tests.filter((one) => one.largestArticle >= 0.5)) found.push(`${labelOf(layout.settings[test.setting])}: one article holds ${Math.round(100 * test.largestArticle)}% of the spread of the difference; xqr-bench compare tells what is found without it.`);
  if (tests.some((test) => test.thin.some(Boolean))) found.push("‡ fewer than 10 questions (or articles) carry the figure: it is no more certain than they are.");
  found.push("Significant: both adjusted p are at most 0.05. A verdict is about these weights in these languages, not about a way of training.");
  return found;
}
