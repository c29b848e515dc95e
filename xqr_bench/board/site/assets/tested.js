// The tests of the comparison: read what they need, run them (paired.js), and say what they found.
const PAIRS_SHOWN = 135; // pairs of rows in a table; of more, only those of A and B
const NEEDED = 1.2; // a verdict needs so many times what one t-test finds (docs/compare.md)
let running = 0;

/** Four digits, as `compare` prints them. */
const digits = (value, sign = false, places = 4) => (value === null || !Number.isFinite(value) ? UNDEFINED : (sign && value > 0 ? "+" : "") + value.toFixed(places).replace("-", "−"));
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

/** Run the tests of these entries, A and B first, and show them. What was found before keeps its room meanwhile. */
async function runTests(task, entries) {
  const asked = ++running;
  const place = byId("found");
  const say = (text) => (byId("progress").textContent = text);
  const show = (...nodes) => {
    for (const id of ["tested", "groups", "all-pairs"]) byId(id).hidden = true;
    byId("verdict").replaceChildren(...nodes);
    byId("test-note").replaceChildren();
  };
  const same = entries[0].key === entries[1].key;
  const possible = data.tests[task] && !same && !differing(task, entries, null);
  place.className = possible ? (entries.length > 2 ? "many" : "two") : "";
  place.setAttribute("aria-busy", true);
  try {
    if (!data.tests[task]) return show(same ? "" : "This site holds no values of single questions of this task, so that nothing can be tested here; the command below tests it.");
    if (same) return show();
    say("Reading the values of each question.");
    if (!possible) {
      const common = await load(`questions/${data.tests[task].folder}.js`);
      return asked === running && show(differing(task, entries, common));
    }
    const { missing: unread, common, rows } = await readValues(task, entries);
    if (asked !== running) return;
    if (unread.length) return show(), complain(unread);
    const layout = common.layouts[layoutOf(task, entries[0])];
    const tests = await compared(layout, rows, new Slices(() => asked === running, (what) => say(`The page is ${what}.`)));
    show();
    (entries.length > 2 ? showMany : showTwo)(task, layout, entries, tests);
    byId("test-note").replaceChildren(...remarks(task, layout, entries, rows, tests).map((text) => el("p", { dir: "auto", text })));
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  } finally {
    if (asked === running) {
      say("");
      place.setAttribute("aria-busy", false);
    }
  }
}

const labelOf = (setting) => data.settings.find(([name]) => name === setting)[1];

function units(task, layout) {
  const [n, m] = [Math.max(...layout.n), Math.max(...layout.m)].map((count) => count.toLocaleString("en"));
  return `MAP on ${taskOf(task).title}, strict relevance; ${n} questions, each with all its translations, in ${m} articles`;
}

const method = (layout) => `${100 * layout.level}% intervals, ${layout.resamples.toLocaleString("en")} resamples, seed ${layout.seed}, as xqr-bench compare`;

// The sentence, as verdict() in report/verdict.py says it.

/** "in the monolingual and multilingual settings". */
function where(settings, n) {
  if (settings.length === n && n > 1) return `in ${n === 2 ? "both" : "all three"} settings`;
  return `in the ${listed(settings)} setting${settings.length > 1 ? "s" : ""}`;
}

/** Texts and names as one sentence. */
function sentence(parts) {
  const nodes = parts.flatMap((part, at) => (at ? ["; ", ...part] : part));
  if (/^in (the|all|both) /.test(nodes[0])) nodes[0] = nodes[0][0].toUpperCase() + nodes[0].slice(1);
  return [...nodes, "."];
}

const settingOf = (layout) => (test) => layout.settings[test.setting];
const grouped = (items, key) => [...items.reduce((groups, item) => groups.set(key(item), [...(groups.get(key(item)) ?? []), item]), new Map())];

/** What is told apart of two rows, by each winner, and what is not, with its reason. */
function ofTwo(layout, entries, tests) {
  const name = (at) => isolated(named(entries[at]));
  const inSettings = (some) => where(some.map(settingOf(layout)), tests.length);
  const won = grouped(tests.filter((test) => test.verdict === SIGNIFICANT), (test) => (test.difference > 0 ? 1 : 0));
  const rest = grouped(tests.filter((test) => test.verdict !== SIGNIFICANT), (test) => test.verdict);
  return [
    ...won.map(([winner, some]) => [name(winner), " is better than ", name(1 - winner), ` ${inSettings(some)}, by ${listed(some.map((test) => amount(test, some.length > 1 ? settingOf(layout)(test) : "")))}`]),
    ...rest.map(([reason, some]) => {
      if (reason === QUESTION_ONLY) return [`${inSettings(some)} they are told apart by questions, but not by articles`];
      if (reason === TOO_FEW) return [`${inSettings(some)} ${some[0].articles} articles are too few to tell them apart by article`];
      return [`${inSettings(some)} they are not told apart${detectable(layout, some)}`];
    }),
  ];
}

/** The size of a difference with the wider one of its intervals. */
function amount(test, setting) {
  const width = ([low, high]) => high - low;
  const [widest] = [test.interval, test.articleInterval].filter((one) => one !== null).sort((one, other) => width(other) - width(one));
  const inside = setting ? [setting] : [];
  if (widest) inside.push(`${data.level} interval ${(test.difference > 0 ? widest : [-widest[1], -widest[0]]).map((end) => digits(end)).join(" to ")}`);
  return digits(Math.abs(test.difference)) + (inside.length ? ` (${inside.join(", ")})` : "");
}

/** The smallest differences that could have been found, where they are known. */
function detectable(layout, tests) {
  const found = tests
    .filter((test) => test.detectable.every((one) => one !== null))
    .map((test) => digits(NEEDED * Math.max(...test.detectable), false, 3) + (tests.length > 1 ? ` (${settingOf(layout)(test)})` : ""));
  return found.length ? `, where a difference of about ${listed(found)} could have been found` : "";
}

/** The best of each setting, settings that say the same together.
 * @param differ setting -> (a, b) -> whether two are told apart.
 * @param few setting -> (a, b) -> whether the articles are too few to tell.
 */
function ofMany(layout, entries, order, differ, few, articles) {
  const name = (at) => isolated(named(entries[at]));
  const names = (some) => some.flatMap((at, place) => [place === 0 ? "" : place === some.length - 1 ? " and " : ", ", name(at)]);
  const outcomes = layout.settings.map((setting, at) => {
    const [best, ...others] = order(at);
    const equal = others.filter((other) => !differ(at)(best, other));
    const unjudged = equal.filter((other) => few(at)(best, other));
    return { setting, best, unjudged, rest: equal.filter((other) => !unjudged.includes(other)) };
  });
  return grouped(outcomes, ({ best, rest, unjudged }) => [best, ...rest, "few", ...unjudged].join()).map(([, some]) => {
    const [{ best, rest, unjudged }] = some;
    const reasons = rest.length ? ["is not told apart from ", ...names(rest)] : [];
    if (unjudged.length) reasons.push(`${rest.length ? " and " : ""}${articles} articles are too few to tell it apart from `, ...names(unjudged));
    const what = reasons.length ? [" has the highest MAP but ", ...reasons] : [" is the best of all"];
    return [`${where(some.map(({ setting }) => setting), layout.settings.length)}, `, name(best), ...what];
  });
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

const HEADS = ["Verdict", "Interval by question, by article", "p adjusted by question, by article", "p alone by question, by article"];

function showTwo(task, layout, entries, tests) {
  byId("verdict").replaceChildren(...sentence(ofTwo(layout, entries, tests)));
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
  const judged = (verdict) => {
    const so = new Set(tests.filter((test) => test.verdict === verdict).map((test) => [test.setting, test.a, test.b].join()));
    return (setting) => (a, b) => so.has([setting, Math.min(a, b), Math.max(a, b)].join());
  };
  const differ = judged(SIGNIFICANT);
  const marks = means.map((of, setting) => letters(differ(setting), of));
  const order = (setting) => [...entries.keys()].sort((a, b) => means[setting][b] - means[setting][a]);
  byId("verdict").replaceChildren(...sentence(ofMany(layout, entries, order, differ, judged(TOO_FEW), tests[0]?.articles)));
  const over = `adjusted by step-down max-T over ${tests.length / layout.settings.length} pairs in ${layout.settings.length} setting${layout.settings.length === 1 ? "" : "s"}`;
  byId("groups").replaceChildren(
    el("caption", {}, el("span", { text: `${units(task, layout)}; rows that share a letter cannot be told apart; ${over}; ${method(layout)}` })),
    heads("Model", ...layout.settings.map(labelOf)),
    el("tbody", {}, ...order(last).map((at) => el("tr", {}, el("th", { scope: "row" }, isolated(named(entries[at]))), ...means.map((of, setting) => el("td", { class: "value", text: `${digits(of[at])} ${marks[setting][at]}` }))))),
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
