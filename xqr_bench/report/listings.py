"""Listings for a terminal: languages, texts found in training data, tasks, metrics, the geometry of vectors."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from xqr_bench.core.errors import UsageError
from xqr_bench.core.languages import get_group, language
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import CROSS_LINGUAL, LENIENT, SETTINGS, TaskData
from xqr_bench.evaluation.check import EncoderCheck
from xqr_bench.measure.geometry import Geometry, LanguageGeometry
from xqr_bench.measure.metrics import Metric, metric_names, parse_metric
from xqr_bench.measure.peers import TOLERANCE, CrossCheck
from xqr_bench.record import Record
from xqr_bench.record.exposure import KINDS, Findings, excerpt
from xqr_bench.report.numbers import THIN, THIN_NOTE, metric_title, number
from xqr_bench.report.table import Cell, Column, Table, columns
from xqr_bench.report.text import visible, wrap
from xqr_bench.tasks import DEFAULT_METRICS, TaskSpec

# Scores by query language beside how much text there is of each: a description of these languages, no test.

LEAST = 4
"""Languages that a rank correlation is printed for, at least."""


def covariates(code: str) -> dict[str, float | None]:
    """How much there is of a language, by three counts; None where it is not known (sources: `core.languages`)."""
    row = language(code)
    return {
        "class": None if row is None or row.resource_class is None else float(row.resource_class),
        "CC-100, GiB": None if row is None else row.cc100_gib,
        "Wikipedia": None if row is None or row.wikipedia_articles is None else float(row.wikipedia_articles),
    }


def thin_languages(record: Record, metric: str) -> set[tuple[str, str]]:
    """(setting, query language) of the figures that are no more certain than a few questions."""
    return {
        (setting, code)
        for setting, scores in record.scores.items()
        for code, of_metric in scores.by_query_language.items()
        if metric in of_metric and of_metric[metric].thin[0]
    }


def scores_by_language(record: Record, metric: str) -> dict[str, dict[str, float]]:
    """Setting -> query language -> value, where it is defined."""
    values: dict[str, dict[str, float]] = {}
    for setting, scores in record.scores.items():
        for code, of_metric in scores.by_query_language.items():
            score = of_metric.get(metric)
            if score is not None and score.value is not None:
                values.setdefault(setting, {})[code] = score.value
    return values


def spearman(x: Mapping[str, float | None], y: Mapping[str, float]) -> tuple[float, int] | None:
    """Spearman's rho over the languages that have both, and their number; None below LEAST or without variation."""
    from scipy import stats

    pairs = [(value, y[code]) for code, value in x.items() if value is not None and code in y]
    if len(pairs) < LEAST or any(len(set(values)) == 1 for values in zip(*pairs, strict=True)):
        return None
    return float(stats.spearmanr(*zip(*pairs, strict=True)).statistic), len(pairs)


def correlations(record: Record, metric: str) -> dict[tuple[str, str], tuple[float, int]]:
    """(covariate, setting) -> Spearman's rank correlation with the score, and the number of its languages."""
    table = {code: covariates(code) for code in record.task.all_languages}
    return {
        (name, setting): rho
        for setting, scores in scores_by_language(record, metric).items()
        for name in covariates("")
        if (rho := spearman({code: of[name] for code, of in table.items()}, scores)) is not None
    }


def language_tables(record: Record, metric: str) -> list[Table]:
    """A row a language, and the rank correlations.

    Raises:
        UsageError: the record has no such scores.
    """
    metric = parse_metric(metric).name
    scores = scores_by_language(record, metric)
    if not scores:
        raise UsageError(
            f"the record of {record.model.name} on {record.task.name} has no {metric} by query language",
            found=", ".join(record.task.metrics),
            remedy="choose one of these",
        )
    names = list(covariates(""))

    def covariate(value: float | None) -> str:
        return "–" if value is None else f"{value:,.1f}" if value % 1 else f"{value:,.0f}"

    thin = thin_languages(record, metric)

    def figure(setting: str, code: str) -> str:
        return number(scores[setting].get(code)) + THIN * ((setting, code) in thin)

    head = f"{record.model.name}, {record.task.name}"
    rows = [
        [code, *map(covariate, covariates(code).values()), *(figure(setting, code) for setting in scores)]
        for code in record.task.all_languages
    ]
    levels = (record.exposure.languages if record.exposure is not None else None) or {}
    for row in rows if levels else ():
        row.insert(1, levels.get(row[0], "–"))
    for level in dict.fromkeys(levels[code] for code in record.task.all_languages if code in levels):
        of_level = {
            s: [value for code, value in values.items() if levels.get(code) == level] for s, values in scores.items()
        }
        means = (number(sum(values) / len(values)) if values else "–" for values in of_level.values())
        rows.append(["mean", level, *("" for _ in names), *means])
    by_language = Table(
        f"{head}: {metric_title(metric, inside=True)} by query language",
        columns("language", *(["training"] if levels else []), *names, *scores),
        rows,
        (
            "Classes: Joshi et al. 2020; CC-100: Conneau et al. 2020; Wikipedia: August 2020 (docs/languages.md).",
            *(
                ["Training: what the record says of the last one; what the model had seen before is not known here."]
                * bool(levels)
            ),
            *([f"{THIN_NOTE}."] if thin else []),
        ),
    )
    rhos = correlations(record, metric)
    if not rhos:
        return [by_language]
    texts = {pair: f"{rho:+.2f}" for pair, (rho, _) in rhos.items()}
    correlated = Table(
        f"{head}: Spearman's rho with {metric_title(metric, inside=True)}",
        columns("", *scores),
        [(name, *(texts.get((name, setting), "–") for setting in scores)) for name in names],
        (
            f"A description of these {max(n for _, n in rhos.values())} languages: no test, and no claim about others.",
            "The counts go together with script, family and how the texts were translated.",
        ),
    )
    return [by_language, correlated]


# What a search for evaluation texts found, as tables.


def finding_tables(findings: Findings, examples: int) -> Iterator[Table]:
    """Counts, counts of the languages in which something was found, and examples."""
    counted = ("texts of the task", "number", "exactly", "nearly", "8 words in common", "not found")

    def cells(kind: str, language: str | None) -> tuple[str, ...]:
        one = findings.counts(language)[kind]
        numbers = (one.total, one.exact, one.near, one.touched, one.total - one.exact - one.near - one.touched)
        return f"{kind}s", *(f"{number:,}" for number in numbers)

    yield Table(
        f"{findings.task} in {findings.n_texts:,} texts",
        columns(*counted),
        [cells(kind, None) for kind in findings.counts()],
        (
            f"Nearly: at least {findings.near:.0%} of a text's runs of 8 words.",
            f"Languages: {', '.join(findings.languages)}.",
        ),
    )
    hits = {(hit.language, hit.kind) for hit in findings.found}
    rows = [(code, *cells(kind, code)) for code in findings.languages for kind in KINDS if (code, kind) in hits]
    if rows:
        yield Table("languages in which something was found", columns("language", *counted, names=2), rows)
    rows = [
        (
            f"{hit.kind} {hit.id}",
            "exact" if hit.exact else f"{hit.overlap:.2f}",
            hit.place,
            visible(excerpt(hit.evaluation_text)),
            visible(excerpt(hit.text)),
        )
        for hit in findings.examples(examples)
    ]
    if rows:
        heads = columns("what", "overlap", "where", "text of the task", "there", names=5)
        yield Table("examples, the best of each kind first", heads, rows)


# Our figures beside pytrec_eval's on rebuilt rankings.


def cross_check_lines(checks: Sequence[CrossCheck]) -> list[str]:
    """A line a metric and setting, and whether they agree."""
    lines = [
        "means over the lists drawn; ours: expected, and in the worst and best order of ties; theirs: pytrec_eval",
        f"{'setting':<14} {'metric':<12} {'lists':>7} {'expected':>10} {'worst':>10} {'theirs':>10} {'best':>10} "
        f"{'theirs':>10}  largest difference",
    ]
    for check in checks:
        figures = (check.expected, check.worst, check.their_worst, check.best, check.their_best)
        cells = " ".join(f"{value:>10.6f}" for value in figures)
        line = f"{check.setting:<14} {check.metric:<12} {check.lists:>7,} {cells}  {check.difference:.1e}"
        lines.append(line + ("" if check.agrees else "  DISAGREES"))
    wrong = sum(not check.agrees for check in checks)
    verdict = f"agrees: no list differs by more than {TOLERANCE:g}"
    if not checks:
        verdict = "has none of the metrics of this record"
    elif wrong:
        verdict = f"disagrees on {wrong} of {len(checks)} figures: a list differs by more than {TOLERANCE:g}"
    return [*lines, f"pytrec_eval {verdict}"]


# The tasks: what each has, by language where its data is at hand.

REPEATED = (
    "repeated: questions whose answer stands, character for character, in another sentence of\n"
    "its paragraph too; under lenient relevance that one leaves the ranking (docs/relevance.md)"
)


TASK_KINDS: dict[str, Callable[[TaskSpec], bool]] = {
    "to try the commands out": lambda spec: spec.demonstration,
    "a sentence and its translation": lambda spec: spec.settings == (CROSS_LINGUAL,),
    "judged collections": lambda spec: spec.format in ("beir", "parquet", "trec"),
    "questions in languages that candidates are not in": lambda spec: not set(spec.languages) & set(spec.pool),
    "questions and sentences, in the same languages": lambda spec: spec.format == "lareqa",
    "questions and paragraphs, in the same languages": lambda spec: True,
}
"""What a task ranks -> whether a task is of that kind; the first that it is of counts."""


def tasks_tables(specs: Sequence[TaskSpec]) -> list[Table]:
    """For each kind of task a row a task, in 80 columns."""
    of_kind: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in TASK_KINDS}
    for spec in specs:
        languages = _some(spec.languages)
        if spec.pool != spec.languages:
            languages += f", in {_some(spec.pool)}"
        kind = next(kind for kind, holds in TASK_KINDS.items() if holds(spec))
        of_kind[kind].append((spec.name, languages, spec.licence.name if spec.licence else "not stated"))
    heads = (Column("task", "name", 19), Column("languages", "name", 45), Column("licence", "name", 12))
    return [Table(kind, heads, rows, frame="list") for kind, rows in of_kind.items() if rows]


def _some(codes: Sequence[str], most: int = 12) -> str:
    """How many languages, and which; of many the first."""
    return f"{len(codes)}: {' '.join(codes if len(codes) <= most else codes[:3])}{' ...' if len(codes) > most else ''}"


def languages_table(spec: TaskSpec, data: TaskData | None) -> Table:
    """A row per language; counts where the data is at hand."""
    rows = []
    for code in spec.all_languages:
        row = language(code)
        names = [row.name, row.script] if row else ["-", "-"]
        known = (row.resource_class, row.cc100_gib, row.wikipedia_articles) if row else (None, None, None)
        rows.append([code, *names, *("-" if value is None else f"{value:,}" for value in known)])
    headings, notes = ["code", "language", "script", "class", "CC-100, GiB", "Wikipedia"], []
    if data is not None:
        headings += ["questions", "candidates"]
        queries = [query.language for query in data.queries]
        sizes = dict(zip(data.languages, data.column_sizes.tolist(), strict=True))
        for cells in rows:
            cells += [f"{queries.count(cells[0]):,}", f"{sizes.get(cells[0], 0):,}"]
        rows.append(["all", "", "", "", "", "", f"{len(queries):,}", f"{len(data.candidates):,}"])
        questions = len({query.question for query in data.queries})
        notes.append(f"{questions:,} distinct questions in {len(set(data.clusters)):,} articles")
        repeated = repeated_answers(data)
        if repeated:
            headings.append("repeated")
            notes.append(REPEATED)
            for cells in rows:
                cells.append(f"{repeated[cells[0]]:.1%}")
    return Table("", columns(*headings, names=4), rows, notes, frame="list")


def repeated_answers(data: TaskData) -> dict[str, float]:
    """Share of the questions whose answer stands in another sentence of its paragraph too: by language, and "all".

    Empty where the task has no such counts. Only the paragraph in the question's own language is looked at.
    """
    if data.echoes is None or LENIENT not in data.relevance:
        return {}
    language = [candidate.language for candidate in data.candidates]
    counts: dict[str, list[bool]] = {code: [] for code in (*data.all_languages, "all")}
    for query, echoes in zip(data.queries, data.echoes, strict=True):
        repeated = any(language[index] == query.language for index in echoes)
        counts[query.language].append(repeated)
        counts["all"].append(repeated)
    return {code: sum(one) / max(1, len(one)) for code, one in counts.items()}


def _what(spec: TaskSpec, group: str) -> str:
    """What a group of the project is, in words; of a group of the task's own only its members are known."""
    if isinstance(spec.groups, Mapping):
        return ""
    known = get_group(group)
    return f"{known.description} ({known.source}): "


def fact_lines(spec: TaskSpec, room: int = 98) -> list[str]:
    """Lines of a key and a value, `room` cells; only lists are wrapped, so that addresses can be copied."""
    facts = {"settings": ", ".join(spec.settings), "metrics": ", ".join(spec.metrics)}
    if spec.relevant_from is not None:
        facts["relevant"] = f"a gain of {spec.relevant_from:g} or more"
    for name, group in spec.group_members().items():
        lacks = f" (not in this task: {', '.join(group.absent)})" if group.members and group.absent else ""
        facts[f"group {name}"] = _what(spec, name) + (group.reason or ", ".join(group.members) + lacks)
    facts["licence"] = f"{spec.licence.name}, {spec.licence.url}" if spec.licence else "not stated"
    if spec.source:
        facts["source"] = f"{spec.source}, to be unpacked by hand"
    elif spec.base_url:
        named = spec.base_url != "https://{path}"  # else each file has an address of its own: the first is shown
        first = str(spec.url(next(iter(spec.files))))
        facts["source"] = spec.base_url.format(revision=spec.revision, path="...") if named else first
    else:
        facts["source"] = "shipped in the package" if spec.embedded else "beside the task file"
    facts["task file"] = str(spec.origin)
    width = max(map(len, facts)) + 2
    lines = []
    for key, value in facts.items():
        parts = textwrap.wrap(value, room - width, break_long_words=False, break_on_hyphens=False)
        lines += [f"{key if not n else '':{width}}{part}" for n, part in enumerate(parts)]
    return lines


def example_lines(spec: TaskSpec, data: TaskData, examples: int = 3, most: int = 3, width: int = 80) -> list[str]:
    """Some queries, the first and the last among them, with at most so many of their relevants, as they were read."""
    answered = [row for row, indices in enumerate(data.relevants) if indices]
    count = min(examples, len(answered))
    lines: list[str] = []
    for example in range(count):
        row = answered[example * (len(answered) - 1) // max(1, count - 1)]
        query = data.queries[row]
        gains = data.gains[row] if data.gains is not None else [None] * len(data.relevants[row])
        scored = [
            (data.candidates[index], gain)
            for index, gain in zip(data.relevants[row], gains, strict=True)
            if spec.settings != (CROSS_LINGUAL,) or data.candidates[index].language != query.language
        ]
        lines += [f"query {query.id} ({query.language})", *_indented(query.text, 2, width)]
        for candidate, gain in scored[:most]:
            of_gain = "" if gain is None else f", gain {gain:g}"
            lines.append(f"  relevant {candidate.id} ({candidate.language}){of_gain}")
            lines += _indented(candidate.text, 4, width)
        if len(scored) > most:
            lines.append(f"  and {len(scored) - most:,} more")
        lines.append("")
    return lines[:-1]


def _indented(text: str, indent: int, width: int) -> list[str]:
    return [" " * indent + line for line in wrap(text, width - indent, 2)]


# The metrics, from their registry.


def metric_facts() -> dict[str, Metric]:
    """Every registered metric, those with a cutoff at k = 10."""
    return {name: parse_metric(name.replace("@k", "@10")) for name in metric_names()}


def metrics_table() -> Table:
    """A row a metric."""
    facts = metric_facts().values()
    asked = ", ".join(metric.name for metric in facts if metric.name not in DEFAULT_METRICS and not metric.rule)
    rows = [(metric.name, metric.kind, metric.summary) for metric in facts]
    notes = (f"Only when asked for (--metrics; docs/bias.md says why): {asked}.",)
    return Table("", columns("name", "kind", "what it is", names=3), rows, notes, frame="list")


def metrics_markdown() -> str:
    """One section a metric, as docs/metrics.md holds them."""
    lines = []
    for name, metric in metric_facts().items():
        settings = "all settings" if metric.settings == SETTINGS else ", ".join(metric.settings)
        every_rank = "; needs the rank of every relevant" if metric.full_depth else ""
        every_rank += f"; under {metric.rule} relevance alone" if metric.rule else ""
        every_rank += "; reads gains" if metric.graded else ""
        lines += [
            f"### `{name}`\n\n{metric.summary[0].upper()}{metric.summary[1:]}.\n",
            f"- formula: {metric.formula}",
            f"- kind: {metric.kind}; defined in: {settings}{every_rank}",
            f"- source: {metric.source}",
        ]
        if metric.undefined_when:
            lines.append(f"- undefined where: {metric.undefined_when}")
        references = {"random reference": metric.random_reference, "floor": metric.floor, "ceiling": metric.ceiling}
        if named := [label for label, function in references.items() if function is not None]:
            lines.append(f"- printed beside it: {', '.join(named)}")
        lines.append("")
    return "\n".join(lines)


# How vectors lie: the geometry of an encoder, before and after a transform.

# name, the figure, how to read it
MEASURES: tuple[tuple[str, Callable[[Geometry], float | None], str], ...] = (
    ("alignment", lambda g: g.alignment, "distance of a query and its translation"),
    ("of other pairs", lambda g: g.other_pairs, "distance of queries that are no translations"),
    ("alignment ratio", lambda g: g.alignment_ratio, "0 translations are one vector, 1 no nearer than others"),
    ("uniformity", lambda g: g.uniformity, "0 all in one place, -4 spread over many directions"),
    ("cosine within", lambda g: g.cosine_within, "two queries of one language"),
    ("cosine between", lambda g: g.cosine_between, "two queries of different languages"),
    ("IsoScore", lambda g: g.isoscore, "share of the dimensions used evenly"),
    ("language probe", lambda g: g.probe, "share whose language a linear probe names"),
    ("  by chance", lambda g: g.probe_chance, ""),
    ("own language", lambda g: g.own_language, "share of the first {k} places in the query's language"),
    ("  by chance", lambda g: g.own_language_chance, ""),
    ("hub skewness", lambda g: g.hub_skewness, "0 no hubs; higher: few candidates stand first for many"),
    ("largest hub", lambda g: g.hub_largest, "share of queries that have it among the first {k}"),
    ("orphans", lambda g: g.orphans, "share of candidates never among the first {k}"),
)
COLUMNS: tuple[tuple[str, Callable[[LanguageGeometry], float | None]], ...] = (
    ("alignment ratio", lambda g: g.alignment_ratio),
    ("mean cosine", lambda g: g.mean_cosine),
    ("IsoScore", lambda g: g.isoscore),
    ("probe", lambda g: g.probe),
    ("top {k} / pool", lambda g: g.top_share / g.pool_share),
)


def geometry_tables(panels: Sequence[Geometry]) -> list[Table]:
    """The panels of one task, as encoded and, where there are two, transformed."""
    first = panels[0]
    names = [panel.transform or "as encoded" for panel in panels]
    rows = [
        (name, *(number(read(panel)) for panel in panels), reads.format(k=first.k)) for name, read, reads in MEASURES
    ]
    by_language = [
        (code, *(" → ".join(_cell(read(panel.by_language[code])) for panel in panels) for _, read in COLUMNS))
        for code in first.by_language
    ]
    arrow = f" ({' → '.join(names)})" if len(panels) > 1 else ""
    reasons = sorted({f"– {name}: {why}" for panel in panels for name, why in panel.reasons.items()})
    about = (
        f"{first.n_queries:,} queries, {first.n_candidates:,} candidates; distances and cosines of queries as "
        "directions; top: the multilingual ranking. docs/geometry.md explains each measure."
    )
    return [
        Table(f"{first.model} on {first.task}", (*columns("measure", *names), Column("reads", "name")), rows),
        Table(
            f"{first.task}, by language{arrow}",
            columns("language", *(name.format(k=first.k) for name, _ in COLUMNS)),
            by_language,
            (*reasons, about),
        ),
    ]


def geometry_json(tasks: Sequence[Sequence[Geometry]]) -> str:
    """All panels as a JSON list; what is not defined is absent."""
    panels = [panel.model_dump(mode="json", exclude_none=True) for panels in tasks for panel in panels]
    return json.dumps(panels, ensure_ascii=False, indent=1, allow_nan=False)


def _cell(value: float | None) -> str:
    """Three digits; no minus before zero."""
    return number(None if value is None else round(value, 3) + 0.0, digits=3)


# What a rehearsal of an encoder found.


def check_table(check: EncoderCheck) -> Table:
    """A row for each finding, with what to do next; below them how many are problems."""
    marks = {"ok": "green", "note": "yellow", "problem": "bold red"}
    rows: list[tuple[Cell, ...]] = [
        (
            finding.about,
            ((finding.status, marks[finding.status]),),
            shown_line(finding.found) + (f"; to do: {finding.remedy}" if finding.remedy else ""),
        )
        for finding in check.findings
    ]
    heads = (Column("about", "word"), Column("", "word"), Column("found", "name"))
    problems = ", ".join(dict.fromkeys(finding.about for finding in check.problems))
    verdict = f"scores would be wrong, or there would be none: {problems}" if problems else "no problem was found"
    return Table(f"rehearsal of {shown_line(check.name)}", heads, rows, (verdict,), frame="open")
