// One question: ranks of what answers it, and what stood on top. The choice stands in the address, after #.
const byId = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.hash.slice(1));
const SHOWN = 5; // of what stood on top, before the rest is asked for
const WORST_OF_SHADE = [[1, 9], [3, 7], [10, 6], [30, 4], [100, 3], [1000, 1]]; // ranks up to the first have this shade
let asked = 0;
let index = null; // of the task
let texts = null; // of its questions, in the language chosen
let known = new Map(); // candidates of the task that were read: number -> [id, text]
const placeOf = (task) => data.explored.find((one) => one.task === task);
const languageName = (code) => taskOf(byId("task").value).languages.find(([other]) => other === code)?.[1] ?? code;
const languageOf = (id) => id.split(":", 1)[0];

/** Text of a benchmark in its own language and direction. */
const written = (code, text) => el("bdi", { lang: code, dir: "auto", text });
const tag = (code) => el("span", { class: "chip tag", title: languageName(code), text: code });

/** What a packed file holds; null where it cannot be read. */
async function unpacked(path) {
  const file = await load(path);
  if (file === null) return null;
  const bytes = Uint8Array.from(atob(file.deflate), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

/** Read candidates of the task, by their numbers; gives the files that could not be read. */
async function need(place, numbers) {
  const unread = [...new Set(numbers.filter((one) => !known.has(one)).map((one) => Math.floor(one / index.candidates)))];
  const [per, into] = [index.candidates, known];
  const failed = await Promise.all(
    unread.map(async (file) => {
      const path = `${place.folder}/candidates-${file}.js`;
      const read = await unpacked(path);
      (read ?? []).forEach((one, at) => into.set(file * per + at, one));
      return read ? [] : [path];
    }),
  );
  return failed.flat();
}

/** A rank from twice of it; -1: there is none. */
function rank(twice) {
  if (twice < 0) return UNDEFINED;
  return (twice / 2).toLocaleString("en");
}

const shade = (twice) => WORST_OF_SHADE.find(([worst]) => twice <= 2 * worst)?.[1] ?? 0;

/** How a question is called in the list: its number, and its text or id. */
function label(at) {
  const text = texts?.[at];
  return text ? `${at + 1}. ${text}` : `${at + 1}. article ${index.articles[at] + 1}, ${index.questions[at]}`;
}

/** The questions that hold all words of the search, in the language chosen. */
function list() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [chosen, code] = [byId("question").value, byId("language").value];
  const found = [];
  for (let at = 0; at < index.questions.length; at++) {
    if (texts && !texts[at]) continue; // not asked in this language
    const line = `${label(at)} ${index.titles[index.articles[at]] ?? ""} ${index.questions[at]}`.toLowerCase();
    if (words.every((word) => line.includes(word))) found.push(at);
  }
  byId("question").replaceChildren(...found.map((at) => el("option", { value: at, lang: texts ? code : null, dir: "auto", text: label(at) })));
  byId("question").value = found.includes(Number(chosen)) && chosen !== "" ? chosen : (found[0] ?? "");
  byId("count").textContent = `${found.length.toLocaleString("en")} of ${index.questions.length.toLocaleString("en")} questions`;
  byId("before").disabled = byId("after").disabled = found.length < 2;
}

/** Names and values; a value is a list of elements. */
const listing = (pairs) => pairs.map(([name, ...values]) => el("div", {}, el("dt", {}, name), el("dd", {}, ...values)));

function showQuestion(question, found, code) {
  const [id, article] = [index.questions[question], index.articles[question]];
  byId("asked").replaceChildren(texts?.[question] ? written(code, texts[question]) : id);
  const title = index.titles[article];
  byId("where").replaceChildren(tag(code), ` asked in ${languageName(code)}; article ${article + 1}`, ...(title ? [": ", isolated(title.replaceAll("_", " "))] : []), `; id ${id}`);
  byId("others").hidden = !texts || found.languages.length < 2;
  byId("others").open = false;
}

/** The question as it is asked in the other languages: read when it is asked for. */
async function showVersions() {
  const [place, question, code] = [placeOf(byId("task").value), Number(byId("question").value), byId("language").value];
  if (!byId("others").open) return;
  const codes = taskOf(place.task).languages.map(([other]) => other).filter((other) => other !== code && !byId("language").querySelector(`option[value="${CSS.escape(other)}"]`)?.disabled);
  const read = await Promise.all(codes.map((other) => unpacked(`${place.folder}/${other}.js`)));
  const there = codes.map((other, at) => [other, read[at]?.[question]]).filter(([, text]) => text);
  byId("versions").replaceChildren(...listing(there.map(([other, text]) => [languageName(other), written(other, text)])));
}

function showAnswers(answers) {
  byId("answers").replaceChildren(
    ...listing(
      answers.map((one) => {
        const [id, text] = known.get(one);
        const code = languageOf(id);
        return [el("span", {}, tag(code), ` ${languageName(code)}`), text === undefined ? el("code", { text: id }) : written(code, text)];
      }),
    ),
  );
}

/** A row an encoder, a column a language: ranks of the answers there. */
function showRanks(found, at, among) {
  const answers = found.relevants[at];
  const codes = taskOf(byId("task").value).languages.map(([code]) => code).filter((code) => answers.some((one) => languageOf(known.get(one)[0]) === code));
  const lines = found.rows.map((of, place) => {
    const entry = data.entries[index.entries[place]];
    const ranks = of[among === "own" ? 1 : 0][at];
    const cells = codes.map((code) => {
      const there = ranks.filter((_, number) => languageOf(known.get(answers[number])[0]) === code);
      const best = Math.min(...there.map((twice) => (twice < 0 ? Infinity : twice)));
      const named = `${entry.model}, answer in ${languageName(code)}: ${best === Infinity ? "no rank, the ranking is cut above it" : `rank ${there.map(rank).join(", ")}`}`;
      return el("td", { class: `shade s${shade(best)}`, title: named, text: there.map(rank).join(", ") });
    });
    return el("tr", {}, el("th", { scope: "row" }, el("a", { href: pageOf(entry) }, isolated(entry.model)), entry.protocol === "standard" ? null : el("small", {}, " ", isolated(entry.protocol))), ...cells);
  });
  const where = among === "own" ? "among the candidates of its own language" : "among the candidates of all languages";
  byId("ranks").replaceChildren(
    el("caption", {}, el("span", { text: `Rank of the answer in each language, ${where}; dark is near the top` })),
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: "Encoder" }), ...codes.map((code) => el("th", { scope: "col" }, el("abbr", { title: languageName(code), text: code }))))),
    el("tbody", {}, ...lines),
  );
}

function showTops(place, found, at) {
  const answers = new Set(found.relevants[at]);
  const item = (one, score) => {
    const [id, text] = known.get(one);
    const code = languageOf(id);
    const right = answers.has(one);
    return el(
      "li",
      { class: right ? "hit" : null },
      el("span", { class: "facts-of-hit" }, tag(code), right ? el("strong", { class: "plus", text: " ✓ answers it" }) : el("span", { class: "minus", text: " ✗ does not" }), el("span", { class: "code", text: ` ${number(score)}` })),
      text === undefined ? el("code", { text: id }) : written(code, text),
    );
  };
  const cards = [];
  const untold = [];
  found.rows.forEach(([, , top], row) => {
    const entry = data.entries[index.entries[row]];
    if (top === null) return untold.push(entry);
    const [ones, scores] = top[at];
    const items = (from, to) => ones.slice(from, to).map((one, number) => item(one, scores[from + number]));
    const rest = el("ol", { start: SHOWN + 1 });
    const more = el("details", {}, el("summary", { text: `Places ${SHOWN + 1} to ${ones.length}` }), rest);
    more.addEventListener("toggle", async () => {
      if (!more.open || rest.children.length) return;
      const failed = await need(place, ones.slice(SHOWN));
      complain(failed);
      if (!failed.length && !rest.children.length) rest.append(...items(SHOWN, ones.length));
    });
    cards.push(
      el(
        "article",
        {},
        el("h3", {}, el("a", { href: pageOf(entry) }, isolated(entry.model))),
        el("ol", {}, ...items(0, SHOWN)),
        ones.length > SHOWN ? more : null,
      ),
    );
  });
  byId("tops").replaceChildren(...cards);
  byId("untold").hidden = !untold.length;
  byId("untold").replaceChildren("Not kept, so that only ranks are known: ", ...untold.flatMap((entry, number) => [number ? ", " : "", isolated(entry.model)]), ".");
}

function showLicence(place) {
  byId("licence").hidden = !place.texts;
  byId("attribution").hidden = !place.citation;
  byId("citation").textContent = place.citation ?? "";
  byId("without").hidden = place.texts;
  if (!place.texts) return;
  const [name, address] = place.licence;
  const licence = /^https?:\/\//.test(address) ? el("a", { href: address }, isolated(name)) : isolated(name);
  byId("licence").replaceChildren("The questions and sentences are those of ", isolated(taskOf(place.task).title), ", under ", licence, ", unchanged.");
}

let opened = false; // what is chosen first stands in the address that was opened; each later choice is a step back

/** Show what is chosen.
 * @param typing a search goes on: no step back for each letter.
 */
async function update(typing = false) {
  const [place, question] = [placeOf(byId("task").value), byId("question").value];
  byId("result").hidden = question === "" || !index;
  const mine = ++asked;
  if (byId("result").hidden) return byId("result").setAttribute("aria-busy", false);
  const start = index.starts.findLast((first) => first <= Number(question));
  const path = `${place.folder}/${start}.js`;
  byId("result").setAttribute("aria-busy", true);
  const file = await unpacked(path);
  if (mine !== asked) return; // chosen anew meanwhile
  const failed = file === null ? [path] : [];
  if (file !== null) {
    const found = file[Number(question) - start];
    for (const option of byId("language").options) option.disabled = !found.languages.includes(option.value);
    if (!found.languages.includes(byId("language").value)) byId("language").value = found.languages[0];
    const [code, among] = [byId("language").value, byId("among").value];
    const at = found.languages.indexOf(code);
    const id = index.questions[Number(question)];
    const chosen = { task: place.task, question: id, language: code, ...(among === "own" ? { among } : {}) };
    writeAddress(Object.entries(chosen), typing || !opened);
    opened = true;
    const tops = found.rows.flatMap(([, , top]) => (top === null ? [] : top[at][0].slice(0, SHOWN)));
    failed.push(...(await need(place, [...found.relevants[at], ...tops])));
    if (mine !== asked) return;
    if (!failed.length) {
      showQuestion(Number(question), found, code);
      showAnswers(found.relevants[at]);
      showRanks(found, at, among);
      showTops(place, found, at);
      showLicence(place);
    }
  }
  complain(failed);
  byId("result").setAttribute("aria-busy", false);
}

/** The questions in the language chosen; the list and what is chosen stay. */
async function readTexts() {
  const place = placeOf(byId("task").value);
  const path = `${place.folder}/${byId("language").value}.js`;
  const read = place.texts ? await unpacked(path) : null;
  if (place === placeOf(byId("task").value)) texts = read;
  if (place.texts && !read) complain([path]);
}

/** Read the list of a task. */
async function readTask(question, language) {
  const place = placeOf(byId("task").value);
  byId("result").setAttribute("aria-busy", true);
  const codes = taskOf(place.task).languages;
  fill(byId("language"), codes.map(([code, name]) => [code, `${name} (${code})`]));
  byId("language").value = codes.some(([code]) => code === language) ? language : codes.some(([code]) => code === "en") ? "en" : codes[0][0];
  const read = await load(`${place.folder}.js`);
  if (place !== placeOf(byId("task").value)) return; // chosen anew meanwhile
  index = read;
  known = new Map();
  complain(index === null ? [`${place.folder}.js`] : []);
  if (index === null) return update();
  await readTexts();
  byId("search").value = "";
  const there = index.questions.indexOf(question);
  byId("missing").hidden = !question || there >= 0;
  byId("missing").textContent = `There is no question ${question} in ${taskOf(place.task).title}; this is another one.`;
  byId("question").replaceChildren(el("option", { value: Math.max(there, 0), selected: true }));
  list();
  byId("question").selectedOptions[0]?.scrollIntoView({ block: "nearest" });
  await update();
}

function step(by) {
  const list = byId("question");
  list.selectedIndex = (list.selectedIndex + by + list.options.length) % list.options.length;
  update();
}

function start() {
  const tasks = data.explored.map((place) => place.task);
  fill(byId("task"), tasks.map((name) => [name, taskOf(name).title]));
  byId("task").value = tasks.includes(wanted.get("task")) ? wanted.get("task") : tasks[0];
  byId("among").value = wanted.get("among") === "own" ? "own" : "pool";
  byId("task").addEventListener("change", () => readTask("", byId("language").value));
  byId("language").addEventListener("change", async () => {
    byId("result").setAttribute("aria-busy", true);
    await readTexts();
    list();
    update();
  });
  byId("search").addEventListener("input", () => {
    list();
    update(true);
  });
  for (const id of ["among", "question"]) byId(id).addEventListener("change", () => update());
  byId("before").addEventListener("click", () => step(-1));
  byId("after").addEventListener("click", () => step(1));
  byId("others").addEventListener("toggle", showVersions);
  byId("choice").addEventListener("submit", (event) => event.preventDefault());
  byId("choice").hidden = false;
  onAddress(() => location.reload()); // a link was put into the address of this page, or back was asked for
  const task = taskOf(byId("task").value);
  const codes = task.languages.map(([code]) => code);
  sayStrange(readAddress({ task: tasks, question: null, language: codes, among: ["pool", "own"] }).strange);
  readTask(wanted.get("question"), wanted.get("language"));
}

start();
