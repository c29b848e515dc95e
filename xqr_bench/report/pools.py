"""What pools do, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xqr_bench.analysis.pools import Change, EqualFigures, PoolReport
from xqr_bench.core.types import STRICT
from xqr_bench.measure.scores import FEW, is_thin
from xqr_bench.report.numbers import THIN, ends, metric_title, number, signed, with_half_width
from xqr_bench.report.table import Table, columns

HALF = f"±: half of the 95% interval over questions ({THIN}: fewer than {FEW} carry the figure)"
EQUAL = ("mrr", "rank", "success@1", "success@10")


def pool_tables(report: PoolReport) -> Iterator[Table]:
    """All tables of one record, in the order of the views."""
    pool = report.pool
    head = f"{report.model}, {report.task}"
    if report.relevance != STRICT:
        head += f", {report.relevance} relevance"
    about = f"{pool.n_queries:,} queries in {', '.join(pool.query_languages)}"
    yield Table(
        f"{head}: the pool of {', '.join(pool.languages)}",
        columns("metric", "value", "random", "ratio"),
        [
            (_title(name), with_half_width(score), number(score.random_reference), number(score.ratio_to_random))
            for name, score in pool.figures.items()
        ],
        (about + (f"; {pool.left_out:,} have no relevant here" if pool.left_out else ""), HALF),
    )
    if report.labelled is not None:
        yield _labelled(f"{head}: labelled languages only", report.labelled)
    if report.leave_one_out:
        yield _left_out(f"{head}: one language left out of the pool", report.leave_one_out, report.metrics)
    if report.pairs:
        yield from _pairs(f"{head}: pools of two languages", report)
    if report.growth:
        yield _growth(f"{head}: pools of a growing number of languages", report)
    if report.equal_size is not None:
        yield from _equal(head, report.equal_size)


def _title(metric: str) -> str:
    return metric_title(metric, inside=True)


def _labelled(title: str, change: Change) -> Table:
    rows = []
    for name, after in change.after.figures.items():
        difference = change.difference.get(name)
        gap = (
            (signed(difference.value), ends(difference.interval, is_thin(difference.interval)))
            if difference
            else ("–", "–")
        )
        rows.append((_title(name), number(change.before.figures[name].value), number(after.value), *gap))
    return Table(
        title,
        columns("metric", "all languages", "labelled only", "difference", "95% interval"),
        rows,
        (
            "A question has no label in a language it was not translated into.",
            "Labelled only: the pool of each query is the languages that have its question.",
        ),
    )


def _left_out(title: str, changes: Sequence[Change], metrics: Sequence[str]) -> Table:
    with_difference = [name for name in metrics if any(name in change.difference for change in changes)]
    names = [name for name in with_difference if name in (with_difference[0], "own_language_first")]
    rows = []
    for change in changes:
        cells = [change.name.removeprefix("without ")]
        for name in names:
            cells += [number(figures[name].value) for figures in (change.before.figures, change.after.figures)]
            cells.append(with_half_width(change.difference.get(name), signed))
        rows.append(cells)
    return Table(
        title,
        columns("left out", *(part for name in names for part in (_title(name), "without", "difference"))),
        rows,
        ("The queries of the other languages, in the whole pool and in the smaller one. " + HALF,),
    )


def _pairs(title: str, report: PoolReport) -> Iterator[Table]:
    languages = report.pool.languages

    def cell(pair: str, name: str) -> str:
        return number(report.pairs[pair].figures[name].value, digits=3) if pair in report.pairs else ""

    for name in next(iter(report.pairs.values())).figures:
        yield Table(
            f"{title}, {_title(name)}",
            columns("query", *languages),
            [(query, *(cell(f"{query}+{other}", name) for other in languages)) for query in languages],
            ("Queries of the row's language among the candidates of row and column.",),
        )


def _growth(title: str, report: PoolReport) -> Table:
    names = list(report.growth[0].mean)
    notes = ["Mean, least and most over the pools of a size; queries are those of the pool's languages."]
    if not all(size.all for size in report.growth):
        notes.append(
            f"* some of the pools of this size (drawn with seed {report.seed}, and with a relevant of a query)"
        )
    rows = []
    for size in report.growth:
        figures = [number(of.get(name)) for name in names for of in (size.mean, size.least, size.most)]
        rows.append((str(size.size), f"{size.n_pools}{'' if size.all else '*'}", *figures))
    headings = (part for name in names for part in (_title(name), "least", "most"))
    return Table(title, columns("languages", "pools", *headings), rows, notes)


def _equal(head: str, equal: EqualFigures) -> Iterator[Table]:
    names = [name for name in EQUAL if any(name in figures for figures in equal.settings.values())]
    notes = [
        f"Expectation over all sub-pools of {equal.size:,} candidates a language that keep the relevant. {HALF}",
        "The order of a query's relevants, and with it own-language first, does not depend on the size.",
    ]
    if equal.left_out:
        notes.append(f"{equal.left_out:,} lists with several relevants in one language are left out.")
    yield Table(
        f"{head}: pools of one language cut to {equal.size:,} candidates",
        columns("setting", "figure", "whole", "equal size", names=2),
        [
            (setting, name, with_half_width(figures[name]), with_half_width(figures[f"equal {name}"]))
            for setting, figures in equal.settings.items()
            for name in names
        ],
        notes,
    )
    by_setting = equal.by_candidate_language
    rows = []
    for code, size in equal.sizes.items():
        figures = [number(of.get(code, {}).get(name)) for of in by_setting.values() for name in ("mrr", "equal mrr")]
        rows.append((code, f"{size:,}", *figures))
    yield Table(
        f"{head}: MRR by candidate language, before and after",
        columns("candidates", "size", *(part for setting in by_setting for part in (setting, "equal size"))),
        rows,
        ("Cross-lingual: the mean over the other query languages.",),
    )
