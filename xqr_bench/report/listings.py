"""Listings for a terminal: hits of a search, languages of a record, texts found in training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from xqr_bench.core.errors import UsageError
from xqr_bench.core.languages import LANGUAGES
from xqr_bench.core.printable import shown_line
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.peers import TOLERANCE, CrossCheck
from xqr_bench.record import Record
from xqr_bench.record.exposure import KINDS, Findings, excerpt
from xqr_bench.report.numbers import number
from xqr_bench.report.table import Table, columns
from xqr_bench.report.text import isolated, right_to_left, visible, wrap

# The best candidates of a question, in all their scripts, as lines for a terminal.

Row = tuple[int, float, str, str, str]
GAP = "  "
LEAST_TEXT = 20


def hits_lines(
    rows: Sequence[Row], *, score: str = "score", width: int = 100, lines: int | None = 3, isolate: bool = True
) -> list[str]:
    """A table of at most `width` cells; the text stands last, so that nothing behind it can be moved.

    Args:
        rows: (rank, score, language, id, text), best first.
        score: heading of the scores.
        width: cells of the terminal.
        lines: of each text; None: all.
        isolate: put Unicode isolates around right-to-left text (no: for output that is not a terminal).
    """
    heads = ("rank", score, "lang", "id")
    cells = [
        (str(rank), f"{value:.4f}", shown_line(language), shown_line(id_)) for rank, value, language, id_, _ in rows
    ]
    widths = [max(cell_len(row[i]) for row in (heads, *cells)) for i in range(len(heads))]
    room = max(LEAST_TEXT, width - sum(widths) - len(GAP) * len(heads))

    def line_of(row: Sequence[str], text: str) -> str:
        padded = [_pad(cell, widths[i], right=i < 2) for i, cell in enumerate(row)]
        return GAP.join([*padded, text]).rstrip()

    result = [line_of(heads, "text"), "─" * (sum(widths) + len(GAP) * len(heads) + room)]
    for row, (_, _, _, _, text) in zip(cells, rows, strict=True):
        rtl = right_to_left(text)
        for i, line in enumerate(wrap(text, room, lines)):
            result.append(line_of(row if i == 0 else [""] * len(heads), isolated(line, rtl=rtl) if isolate else line))
    return result


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space


# Scores by query language beside how much text there is of each: a description of these languages, no test.

LEAST = 4
"""Languages that a rank correlation is printed for, at least."""


class Correlation(NamedTuple):
    """Spearman's rank correlation of a covariate with a score over languages."""

    covariate: str
    setting: str
    languages: int
    rho: float


def covariates(code: str) -> dict[str, float | None]:
    """How much there is of a language, by three counts; None where it is not known (sources: `core.languages`)."""
    row = LANGUAGES.get(code)
    return {
        "class": None if row is None else float(row.resource_class),
        "CC-100, GiB": None if row is None else row.cc100_gib,
        "Wikipedia": None if row is None or row.wikipedia_articles is None else float(row.wikipedia_articles),
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
    columns = [[a for a, _ in pairs], [b for _, b in pairs]]
    if len(pairs) < LEAST or any(len(set(column)) == 1 for column in columns):
        return None
    return float(stats.spearmanr(*columns).statistic), len(pairs)


def correlations(record: Record, metric: str) -> list[Correlation]:
    """Every covariate with every setting."""
    table = {code: covariates(code) for code in record.task.languages}
    result = []
    for setting, scores in scores_by_language(record, metric).items():
        for name in covariates(""):
            rho = spearman({code: of[name] for code, of in table.items()}, scores)
            if rho is not None:
                result.append(Correlation(name, setting, rho[1], rho[0]))
    return result


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

    head = f"{record.model.name}, {record.task.name}"
    tables = [
        Table(
            f"{head}: {metric} by query language",
            columns("language", *names, *scores),
            [
                (code, *map(covariate, covariates(code).values()), *(number(of.get(code)) for of in scores.values()))
                for code in record.task.languages
            ],
            ("Classes: Joshi et al. 2020; CC-100: Conneau et al. 2020; Wikipedia: August 2020 (docs/languages.md).",),
        )
    ]
    computed = correlations(record, metric)
    if computed:
        rhos = {(one.covariate, one.setting): f"{one.rho:+.2f}" for one in computed}
        languages = max(one.languages for one in computed)
        tables.append(
            Table(
                f"{head}: Spearman's rho with {metric}",
                columns("", *scores),
                [(name, *(rhos.get((name, setting), "–") for setting in scores)) for name in names],
                (
                    f"A description of these {languages} languages: no test, and no claim about others.",
                    "The counts go together with script, family and how the texts were translated.",
                ),
            )
        )
    return tables


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
    examples_found = [
        (
            f"{hit.kind} {hit.id}",
            "exact" if hit.exact else f"{hit.overlap:.2f}",
            hit.place,
            visible(excerpt(findings.texts[hit[:3]])),
            visible(excerpt(hit.text)),
        )
        for hit in findings.examples(examples)
    ]
    if examples_found:
        heads = columns("what", "overlap", "where", "text of the task", "there", names=5)
        yield Table("examples, the best of each kind first", heads, examples_found)


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
        verdict = "" if check.agrees else "  DISAGREES"
        lines.append(
            f"{check.setting:<14} {check.metric:<12} {check.lists:>7,} {cells}  {check.difference:.1e}{verdict}"
        )
    wrong = sum(not check.agrees for check in checks)
    if not checks:
        return [*lines, "pytrec_eval has none of the metrics of this record"]
    if wrong:
        said = f"disagrees on {wrong} of {len(checks)} figures: a list differs by more than {TOLERANCE:g}"
    else:
        said = f"agrees: no list differs by more than {TOLERANCE:g}"
    return [*lines, f"pytrec_eval {said}"]
