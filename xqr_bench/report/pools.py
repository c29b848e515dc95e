"""What pools do, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xqr_bench.analysis.pools import Change, PoolReport
from xqr_bench.core.types import STRICT
from xqr_bench.measure.scores import Score
from xqr_bench.report.terminal import ends, number, signed, with_half_width
from xqr_bench.report.text import PlainTable

HALF = "±: half of the 95% interval over questions"
EQUAL = ("mrr", "rank", "success@1", "success@10")


def pool_tables(found: PoolReport) -> list[PlainTable]:
    """All tables of one record, in the order of the views."""
    return list(_tables(found))


def _tables(found: PoolReport) -> Iterator[PlainTable]:
    pool = found.pool
    head = f"{found.model}, {found.task}" + ("" if found.relevance == STRICT else f", {found.relevance} relevance")
    about = f"queries in {', '.join(pool.query_languages)}"
    notes = [f"{pool.n_queries:,} {about}" + (f"; {pool.left_out:,} have no relevant here" if pool.left_out else "")]
    yield PlainTable(
        f"{head}: the pool of {', '.join(pool.languages)}",
        ("metric", "value", "random", "ratio"),
        tuple(
            (name, with_half_width(score), number(score.random_reference), number(score.ratio_to_random))
            for name, score in pool.figures.items()
        ),
        notes=(*notes, HALF),
    )
    if found.labelled is not None:
        yield _change_table(f"{head}: labelled languages only", found.labelled)
    if found.leave_one_out:
        yield _left_out(head, found.leave_one_out, found.metrics)
    if found.pairs:
        yield from _pairs(head, found)
    if found.growth:
        yield _growth(head, found)
    if found.equal_size is not None:
        yield from _equal(head, found)


def _change_table(title: str, change: Change) -> PlainTable:
    return PlainTable(
        title,
        ("metric", "all languages", "labelled only", "difference", "95% interval"),
        tuple(
            (
                name,
                number(change.before.figures[name].value),
                number(change.after.figures[name].value),
                _signed(change.difference.get(name)),
                ends(change.difference[name].interval) if name in change.difference else "–",
            )
            for name in change.after.figures
        ),
        notes=(
            "A question has no label in a language it was not translated into.",
            "Labelled only: the pool of each query is the languages that have its question.",
        ),
    )


def _left_out(head: str, changes: Sequence[Change], metrics: Sequence[str]) -> PlainTable:
    known = [name for name in metrics if any(name in change.difference for change in changes)]
    shown = [name for name in known if name in (known[0], "own_language_first")]
    return PlainTable(
        f"{head}: one language left out of the pool",
        ("left out", *(part for name in shown for part in (name, "without", "difference"))),
        tuple(
            (
                change.name.removeprefix("without "),
                *(
                    part
                    for name in shown
                    for part in (
                        number(change.before.figures[name].value),
                        number(change.after.figures[name].value),
                        _with_half(change.difference.get(name)),
                    )
                ),
            )
            for change in changes
        ),
        notes=("The queries of the other languages, in the whole pool and in the smaller one. " + HALF,),
    )


def _pairs(head: str, found: PoolReport) -> Iterator[PlainTable]:
    languages = found.pool.languages
    for name in next(iter(found.pairs.values())).figures:
        yield PlainTable(
            f"{head}: pools of two languages, {name}",
            ("query", *languages),
            tuple(
                (
                    query,
                    *(
                        number(found.pairs[key].figures[name].value, digits=3)
                        if (key := f"{query}+{other}") in found.pairs
                        else ""
                        for other in languages
                    ),
                )
                for query in languages
            ),
            notes=("Queries of the row's language among the candidates of row and column.",),
        )


def _growth(head: str, found: PoolReport) -> PlainTable:
    names = list(found.growth[0].mean)
    sampled = any(not size.all for size in found.growth)
    return PlainTable(
        f"{head}: pools of a growing number of languages",
        ("languages", "pools", *(part for name in names for part in (name, "least", "most"))),
        tuple(
            (
                str(size.size),
                f"{size.n_pools}{'' if size.all else '*'}",
                *(
                    number(value)
                    for name in names
                    for value in (size.mean[name], size.least.get(name), size.most.get(name))
                ),
            )
            for size in found.growth
        ),
        notes=(
            "Mean, least and most over the pools of a size; queries are those of the pool's languages.",
            *((f"* some of the pools of this size (seed {found.seed})",) if sampled else ()),
        ),
    )


def _equal(head: str, found: PoolReport) -> Iterator[PlainTable]:
    equal = found.equal_size
    if equal is None:
        return
    names = [name for name in EQUAL if any(name in figures for figures in equal.settings.values())]
    notes = [
        f"Expectation over all sub-pools of {equal.size:,} candidates a language that keep the relevant. {HALF}",
        "The order of a query's relevants, and with it own-language first, does not depend on the size.",
    ]
    if equal.left_out:
        notes.append(f"{equal.left_out:,} lists with several relevants in one language are left out.")
    yield PlainTable(
        f"{head}: pools of one language cut to {equal.size:,} candidates",
        ("setting", "figure", "whole", "equal size"),
        tuple(
            (setting, name, with_half_width(figures[name]), with_half_width(figures[f"equal {name}"]))
            for setting, figures in equal.settings.items()
            for name in names
        ),
        names=2,
        notes=tuple(notes),
    )
    yield PlainTable(
        f"{head}: MRR by candidate language, before and after",
        (
            "candidates",
            "size",
            *(part for setting in equal.by_candidate_language for part in (setting, "equal size")),
        ),
        tuple(
            (
                code,
                f"{size:,}",
                *(
                    number(of_language.get(code, {}).get(name))
                    for of_language in equal.by_candidate_language.values()
                    for name in ("mrr", "equal mrr")
                ),
            )
            for code, size in equal.sizes.items()
        ),
        notes=("Cross-lingual: the mean over the other query languages.",),
    )


def _signed(score: Score | None) -> str:
    return "–" if score is None or score.value is None else signed(score.value)


def _with_half(score: Score | None) -> str:
    if score is None or score.value is None or score.interval is None:
        return _signed(score)
    return f"{signed(score.value)} ±{number((score.interval.high - score.interval.low) / 2)}"
