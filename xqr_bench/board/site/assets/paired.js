// The tests of `xqr-bench compare` between rows of the leaderboard: by question and by article, in slices, so that the
// page stays usable. Formulas and literature: xqr_bench/measure/paired.py, contest.py, linear.py, resampling.py. Values,
// draws and generator are those of the command (xqr_bench/board/site/questions.py), so that what it prints comes out.
const TOLERANCE = 1e-9;
const ALPHA = 0.05;
const FEW = 10;
const SLICE = 25; // milliseconds after which the page has its turn
const [SIGNIFICANT, QUESTION_ONLY, TOO_FEW, NOT_TOLD_APART] = ["significant", "question level only", "too few articles", "not distinguishable"];

/** numpy's PCG64: a state of 128 bits in four words, lowest first; `next` leaves 64 bits of output in `high`, `low`. */
class Pcg64 {
  static FACTOR = Uint32Array.of(0x9fccf645, 0x4385df64, 0x1fc65da4, 0x2360ed05);

  constructor([state, increment]) {
    const words = (hex) => [24, 16, 8, 0].map((at) => parseInt(hex.slice(at, at + 8), 16));
    [this.state, this.increment] = [Uint32Array.from(words(state)), Uint32Array.from(words(increment))];
  }

  next() {
    const { state, increment } = this;
    const { FACTOR, upper } = Pcg64;
    const a = state[0];
    const b = state[1];
    const c = state[2];
    const d = state[3];
    const e = FACTOR[0];
    const f = FACTOR[1];
    const g = FACTOR[2];
    const h = FACTOR[3];
    // column by column, each below 2^53
    let sum = increment[0] + (Math.imul(a, e) >>> 0);
    state[0] = sum >>> 0;
    sum = Math.floor(sum / 2 ** 32) + increment[1] + upper(a, e) + (Math.imul(a, f) >>> 0) + (Math.imul(b, e) >>> 0);
    state[1] = sum >>> 0;
    sum = Math.floor(sum / 2 ** 32) + increment[2] + upper(a, f) + upper(b, e) + (Math.imul(a, g) >>> 0) + (Math.imul(b, f) >>> 0) + (Math.imul(c, e) >>> 0);
    state[2] = sum >>> 0;
    sum = Math.floor(sum / 2 ** 32) + increment[3] + upper(a, g) + upper(b, f) + upper(c, e);
    state[3] = (sum + Math.imul(a, h) + Math.imul(b, g) + Math.imul(c, f) + Math.imul(d, e)) >>> 0;
    const turn = state[3] >>> 26;
    const by = turn & 31;
    const one = (turn & 32 ? state[1] ^ state[3] : state[0] ^ state[2]) >>> 0;
    const other = (turn & 32 ? state[0] ^ state[2] : state[1] ^ state[3]) >>> 0;
    this.low = by ? ((one >>> by) | (other << (32 - by))) >>> 0 : one;
    this.high = by ? ((other >>> by) | (one << (32 - by))) >>> 0 : other;
  }

  /** The upper 32 bits of a product of two 32-bit numbers. */
  static upper(a, b) {
    const aLow = a & 0xffff;
    const aHigh = a >>> 16;
    const bLow = b & 0xffff;
    const bHigh = b >>> 16;
    const first = aHigh * bLow + ((aLow * bLow) >>> 16);
    return aHigh * bHigh + (first >>> 16) + ((aLow * bHigh + (first & 0xffff)) >>> 16);
  }

  /** A whole number below n, as `multinomial_weights` draws it. */
  below(n) {
    this.next();
    return Math.floor((this.high * n) / 2 ** 32);
  }
}

/** Gives the page its turn, and says how far the work is; throws `Stopped` when it is no longer wanted. */
class Slices {
  constructor(wanted, told) {
    [this.wanted, this.told, this.since] = [wanted, told, performance.now()];
  }

  async turn(what) {
    if (performance.now() - this.since < SLICE) return;
    this.told(what);
    await new Promise((resolve) => setTimeout(resolve));
    if (!this.wanted()) throw new Stopped();
    this.since = performance.now();
  }
}

class Stopped extends Error {}

const unpacked = (text) => new Uint32Array(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);

/** Draws that all tests of a layout share: signs and questions of each resample, and how often each article is drawn. */
async function drawn(layout, slices) {
  if (layout.drawn) return layout.drawn;
  const { questions, articles, resamples } = layout;
  const width = 8 * Math.ceil(questions / 64);
  const made = { width, coins: new Uint8Array(resamples * width), weights: new Uint16Array(resamples * articles), picked: null };
  const signs = new Pcg64(layout.streams.signs);
  const view = new DataView(made.coins.buffer);
  for (let at = 0; at < made.coins.length; at += 8) {
    signs.next();
    view.setUint32(at, signs.low, true);
    view.setUint32(at + 4, signs.high, true);
    if (at % 65536 === 0) await slices.turn("drawing signs");
  }
  const ofArticles = new Pcg64(layout.streams.articles);
  for (let draw = 0; draw < resamples; draw++) {
    for (let k = 0; k < articles; k++) made.weights[draw * articles + ofArticles.below(articles)]++;
    if (draw % 64 === 0) await slices.turn("drawing articles");
  }
  if (layout.redrawn.some(Boolean)) {
    made.picked = new Uint32Array(layout.bootstrap * questions);
    const ofQuestions = new Pcg64(layout.streams.questions);
    for (let at = 0; at < made.picked.length; at++) {
      made.picked[at] = ofQuestions.below(questions);
      if (at % 8192 === 0) await slices.turn("drawing questions");
    }
  }
  return (layout.drawn = made);
}

/** Of a layout once: the article and the kind of each question. */
function prepared(layout) {
  layout.articleOf ??= unpacked(layout.article);
  layout.kindOf ??= unpacked(layout.kind);
  layout.there ??= layout.settings.map((_, setting) => {
    const there = new Float64Array(layout.articles);
    layout.kindOf.forEach((kind, question) => layout.present[setting][kind] && (there[layout.articleOf[question]] = 1));
    return there;
  });
  return layout;
}

/** What the tests need of a row in one setting, made once a row: its values, their sums by article, and all resampled. */
async function columns(layout, row, slices) {
  if (row.columns) return row.columns;
  const draws = await drawn(prepared(layout), slices);
  const all = unpacked(row.values);
  const made = [];
  for (let setting = 0; setting < layout.settings.length; setting++) {
    const values = Float64Array.from(all.subarray(setting * layout.questions, (setting + 1) * layout.questions));
    const deviations = values.map((value, question) => value - row.levels[setting][layout.kindOf[question]] / layout.unit[setting]);
    const byArticle = summed(layout, values);
    const total = values.reduce((sum, value) => sum + value, 0);
    const mean = total / Math.max(layout.m[setting], 1);
    const centred = byArticle.map((sum, article) => layout.there[setting][article] * (sum - mean));
    made.push({
      figure: row.figures[setting],
      values,
      deviations,
      byArticle,
      deviationsByArticle: summed(layout, deviations),
      total,
      centred,
      signed: await signedSums(layout, draws, values, total, slices),
      ofArticles: await weightedSums(layout, draws, centred, slices),
      replicates: await resampled(layout, draws, row, setting, values, slices),
    });
  }
  return (row.columns = made);
}

function summed(layout, values) {
  const sums = new Float64Array(layout.articles);
  values.forEach((value, question) => (sums[layout.articleOf[question]] += value));
  return sums;
}

/** Sum of + value (coin 1) or - value (coin 0) in each resample; of eight questions at a time there are 256 sums. */
async function signedSums(layout, { coins, width }, values, total, slices) {
  const sums = new Float64Array(layout.resamples).fill(-total);
  const table = new Float64Array(256);
  for (let place = 0; 8 * place < values.length; place++) {
    for (let byte = 1; byte < 256; byte++) {
      const bit = 31 - Math.clz32(byte);
      table[byte] = table[byte ^ (1 << bit)] + 2 * (values[8 * place + 7 - bit] ?? 0);
    }
    for (let draw = 0, at = place; draw < sums.length; draw++, at += width) sums[draw] += table[coins[at]];
    await slices.turn("changing signs");
  }
  return sums;
}

async function weightedSums(layout, { weights }, values, slices) {
  const sums = new Float64Array(layout.resamples);
  for (let draw = 0, at = 0; draw < sums.length; draw++) {
    let sum = 0;
    for (let article = 0; article < values.length; article++, at++) sum += weights[at] * values[article];
    sums[draw] = sum;
    if (draw % 512 === 0) await slices.turn("drawing articles");
  }
  return sums;
}

/** The figure under resampled questions: stored, or the mean of the values of those drawn. Null: it has no interval. */
async function resampled(layout, { picked }, row, setting, values, slices) {
  if (!layout.redrawn[setting]) {
    if (row.replicates[setting] === null) return null;
    const [unit, numbers] = row.replicates[setting];
    return Float64Array.from(unpacked(numbers), (number) => row.figures[setting] + unit * (number - 2 ** 31));
  }
  const means = new Float64Array(layout.bootstrap);
  for (let draw = 0, at = 0; draw < means.length; draw++) {
    let sum = 0;
    for (let k = 0; k < values.length; k++, at++) sum += values[picked[at]];
    means[draw] = (sum * layout.unit[setting]) / values.length;
    if (draw % 64 === 0) await slices.turn("resampling questions");
  }
  return means;
}

/** Every pair of rows in every setting: see `described`, with p-values, adjusted ones and the verdict.
 *
 * Two rows: Holm over the settings. More: step-down max-T over all pairs in all settings, as the command. */
async function compared(layout, rows, slices) {
  const all = [];
  for (const row of rows) all.push(await columns(layout, row, slices));
  const tests = [];
  for (let a = 0; a < rows.length; a++)
    for (let b = a + 1; b < rows.length; b++)
      for (let setting = 0; setting < layout.settings.length; setting++) {
        tests.push({ a, b, setting, ...described(layout, all[a][setting], all[b][setting], setting) });
        await slices.turn("finding intervals");
      }
  const pairs = tests.map(({ a, b, setting }) => ({ left: all[a][setting], right: all[b][setting], setting }));
  const found = [await bySigns(layout, pairs, slices), await byArticles(layout, pairs, slices)];
  const [byQuestion, byArticle] = found.map(({ p, adjusted }) => (rows.length > 2 ? adjusted : holm(p)));
  tests.forEach((test, at) => {
    Object.assign(test, { p: found[0].p[at], pArticle: found[1].p[at], pAdjusted: byQuestion[at], pArticleAdjusted: byArticle[at] });
    test.verdict = verdict(test, tests.length);
  });
  return tests;
}

/** Difference b - a, its intervals, effect size and the smallest difference that would be found. */
function described(layout, a, b, setting) {
  const [n, m] = [layout.n[setting], layout.m[setting]];
  const scale = layout.unit[setting] / n;
  const difference = b.figure - a.figure;
  const deviations = b.deviations.map((value, at) => value - a.deviations[at]);
  const ofArticles = b.deviationsByArticle.map((value, at) => value - a.deviationsByArticle[at]);
  const [error, articleError] = [standardError(deviations, n), standardError(ofArticles, m)].map((one) => one * scale);
  const interval = a.replicates && b.replicates && n > 1 ? percentiles(a.replicates.map((one, at) => b.replicates[at] - one), layout.level) : null;
  const half = layout.t[setting] * articleError;
  const articleInterval = m > 1 ? [difference - half, difference + half] : null;
  const present = (question) => layout.present[setting][layout.kindOf[question]];
  const varying = varies(deviations).map((one, question) => one && present(question));
  const varyingArticles = new Set(layout.articleOf.filter((_, question) => varying[question])).size;
  const squares = ofArticles.map((one) => one * one);
  const total = squares.reduce((sum, one) => sum + one, 0);
  return {
    valueA: a.figure,
    valueB: b.figure,
    difference,
    interval,
    articleInterval,
    thin: [isThin(interval, varying.filter(Boolean).length, n), isThin(articleInterval, varyingArticles, m)],
    effect: error === 0 && difference === 0 ? 0 : difference / (error * Math.sqrt(n)),
    detectable: layout.detectable[setting].map((errors, at) => (errors === null || !([error, articleError][at] > 0) ? null : errors * [error, articleError][at])),
    largestArticle: total > 0 && m > 2 ? Math.max(...squares) / total : 0,
    articles: m,
  };
}

function standardError(deviations, n) {
  return n > 1 ? Math.sqrt((n / (n - 1)) * deviations.reduce((sum, one) => sum + one * one, 0)) : NaN;
}

function percentiles(values, level) {
  const sorted = values.sort();
  return [(1 - level) / 2, (1 + level) / 2].map((share) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    return sorted[below] + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
  });
}

/** Which questions do not have the commonest deviation, up to the rounding of the values. */
function varies(deviations) {
  const order = Array.from(deviations.keys()).sort((one, other) => deviations[one] - deviations[other]);
  const runs = [[]];
  for (const at of order) {
    if (runs.at(-1).length && deviations[at] - deviations[runs.at(-1).at(-1)] > 2) runs.push([]);
    runs.at(-1).push(at);
  }
  const commonest = runs.reduce((most, one) => (one.length > most.length ? one : most));
  const varying = new Array(deviations.length).fill(true);
  for (const at of commonest) varying[at] = false;
  return varying;
}

function isThin(interval, varying, n) {
  return interval !== null && (varying < FEW || n < FEW || interval[1] - interval[0] <= 1e-12 * Math.max(1, Math.abs(interval[0])));
}

/** One random sign a question, across its settings. */
async function bySigns(layout, pairs, slices) {
  const tests = pairs.map(({ left, right, setting }) => {
    let [size, squares, differing] = [0, 0, 0];
    left.values.forEach((value, at) => {
      const d = right.values[at] - value;
      size += Math.abs(d);
      squares += d * d;
      differing += d !== 0;
    });
    const n = Math.max(layout.n[setting], 2);
    const seen = Math.max(Math.abs(right.total - left.total) - Math.max(TOLERANCE * size, differing), 0); // values are rounded
    const least = size > 0 ? (1e-12 * n * squares * (n - 1)) / n : Infinity;
    const observed = size > 0 ? seen ** 2 / (Math.max(squares - seen ** 2 / n, least) * (n / (n - 1))) : 0;
    return { observed, of: (t2) => signedT(t2, left.signed, right.signed, squares, n, least) };
  });
  return stepDown(layout, tests, slices, "testing by question");
}

function signedT(t2, left, right, squares, n, least) {
  for (let draw = 0; draw < t2.length; draw++) {
    const square = (right[draw] - left[draw]) ** 2;
    t2[draw] = square / (Math.max(squares - square / n, least) * (n / (n - 1)));
  }
}

/** Articles drawn with replacement, their sum centred and studentised. */
async function byArticles(layout, pairs, slices) {
  const { weights } = await drawn(layout, slices);
  const present = [];
  for (const there of layout.there) present.push(await weightedSums(layout, { weights }, there, slices));
  const tests = pairs.map(({ left, right, setting }) => {
    const m = layout.m[setting];
    const z = right.centred.map((one, at) => one - left.centred[at]);
    const of = z.map((one) => one * one);
    const squares = of.reduce((sum, one) => sum + one, 0);
    const size = right.byArticle.reduce((sum, one, at) => sum + Math.abs(one - left.byArticle[at]), 0);
    const spread = z.reduce((sum, one) => sum + Math.abs(one), 0);
    const difference = Math.abs(right.total - left.total);
    const rounded = Math.max(TOLERANCE * size, layout.questions); // values are rounded
    const still = spread <= rounded; // articles that all add the same have no spread but rounding
    let observed = still ? Infinity : (difference / Math.sqrt((squares * m) / Math.max(m - 1, 1))) * (1 - TOLERANCE);
    if (difference <= TOLERANCE * size) observed = 0;
    const least = still ? Infinity : 1e-12 * squares;
    const floor = size === 0 ? 1 : 2 ** (1 - Math.max(m, 1));
    return { observed: observed ** 2, floor, of: (t2) => weightedT(t2, weights, of, left.ofArticles, right.ofArticles, present[setting], least) };
  });
  return stepDown(layout, tests, slices, "testing by article");
}

function weightedT(t2, weights, squares, left, right, present, least) {
  for (let draw = 0, at = 0; draw < t2.length; draw++) {
    let sum = 0;
    for (let article = 0; article < squares.length; article++, at++) sum += weights[at] * squares[article];
    const m = Math.max(present[draw], 1);
    const square = (right[draw] - left[draw]) ** 2;
    t2[draw] = square / (Math.max(sum - square / m, least) * (m / Math.max(m - 1, 1)));
  }
}

/** p-values as they are, and adjusted by step-down max-T; from the smallest observed |t| to the greatest. */
async function stepDown(layout, tests, slices, what) {
  const order = tests.map((_, at) => at).sort((one, other) => tests[one].observed - tests[other].observed || one - other);
  const [greatest, t2] = [new Float64Array(layout.resamples), new Float64Array(layout.resamples)];
  const [p, adjusted] = [new Float64Array(tests.length), new Float64Array(tests.length)];
  for (const at of order) {
    const { observed, of } = tests[at];
    of(t2);
    let [alone, together] = [0, 0];
    for (let draw = 0; draw < t2.length; draw++) {
      if (t2[draw] > greatest[draw]) greatest[draw] = t2[draw];
      alone += t2[draw] >= observed;
      together += greatest[draw] >= observed;
    }
    [p[at], adjusted[at]] = [alone, together].map((count) => (1 + count) / (layout.resamples + 1));
    await slices.turn(what);
  }
  let least = 0;
  for (const at of order.reverse()) adjusted[at] = least = Math.max(least, adjusted[at]);
  const floored = (of) => of.map((one, at) => Math.max(one, tests[at].floor ?? 0));
  return { p: floored(p), adjusted: floored(adjusted) };
}

/** Holm 1979. */
function holm(p) {
  const adjusted = new Float64Array(p.length);
  const order = Array.from(p.keys()).sort((one, other) => p[one] - p[other] || one - other);
  let least = 0;
  order.forEach((at, place) => (adjusted[at] = least = Math.max(least, Math.min(1, p[at] * (p.length - place)))));
  return adjusted;
}

/** Both adjusted p-values at most 5%; with few articles no p by article could be so small. */
function verdict({ pAdjusted, pArticleAdjusted, articles }, family) {
  if (pAdjusted > ALPHA) return NOT_TOLD_APART;
  if (pArticleAdjusted <= ALPHA) return SIGNIFICANT;
  return 2 ** (1 - articles) * family > ALPHA ? TOO_FEW : QUESTION_ONLY;
}

/** Letters of each row: two share one where their difference is not significant (Piepho 2004; compact_letters). */
function letters(different, means) {
  const place = means.map((mean) => means.filter((other) => other > mean).length);
  let sets = [new Set(means.keys())];
  for (let i = 0; i < means.length; i++)
    for (let j = i + 1; j < means.length; j++) {
      if (!different(i, j)) continue;
      let largest = sets.filter((one) => !(one.has(i) && one.has(j)));
      for (const one of sets.filter((some) => some.has(i) && some.has(j)))
        for (const out of [i, j]) {
          const left = new Set([...one].filter((member) => member !== out));
          const within = (part, whole) => [...part].every((member) => whole.has(member));
          if (largest.some((other) => within(left, other))) continue;
          largest = [...largest.filter((other) => !within(other, left)), left];
        }
      sets = largest;
    }
  const ranked = (one) => [...one].map((member) => place[member]).sort((a, b) => a - b);
  const before = (one, other) => {
    const [a, b] = [ranked(one), ranked(other)];
    for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] - b[at];
    return a.length - b.length;
  };
  const named = (at) => (at < 26 ? String.fromCharCode(97 + at) : `(${String.fromCharCode(97 + (at % 26))}${Math.floor(at / 26)})`);
  const inOrder = sets.sort(before);
  return means.map((_, member) => inOrder.map((one, at) => (one.has(member) ? named(at) : "")).join(""));
}
