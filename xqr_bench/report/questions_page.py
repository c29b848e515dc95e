"""Single questions with what was found for them, as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from xqr_bench import __version__
from xqr_bench.analysis.questions import IS_RELEVANT, QueryView, Questions, QuestionView, RankedRelevant, TopHit
from xqr_bench.core.printable import shown
from xqr_bench.core.types import MOST_COLUMNS, MULTILINGUAL
from xqr_bench.report.numbers import kept_score
from xqr_bench.report.questions import (
    MOST,
    heading,
    language_text,
    mean_over,
    none_of_them,
    notes,
    of_the_best,
    order,
    rank_text,
    value_text,
)

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --dim: #57606a; --mark: #e6f4ea; --ink: #1f2328; --page: #fff }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --dim: #9198a1; --mark: #12361f; --ink: #f0f6fc; --page: #0d1117 }
}
body { font: 16px/1.5 system-ui, "Noto Sans", sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; padding: 1rem; max-width: 70rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; overflow-wrap: anywhere }
h3 { font-size: 1rem; margin: 1rem 0 .25rem }
p { margin: .25rem 0 } .dim, .id { color: var(--dim) } .id { font-size: .8rem; overflow-wrap: anywhere }
details { border-top: 1px solid var(--line); padding: .5rem 0 }
summary { cursor: pointer; display: grid; grid-template-columns: 1rem 13.5rem 1fr; gap: 0 .5rem }
summary::before { content: "\\25b8" / "" } details[open] > summary::before { content: "\\25be" / "" }
summary:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
ol { list-style: none; margin: 0; padding: 0 0 0 1rem }
li { border-top: 1px solid var(--line); padding: .35rem .5rem; display: grid; grid-template-columns: 14rem 1fr;
  gap: 0 1rem }
li.relevant { background: var(--mark) }
.figures { font-variant-numeric: tabular-nums; font-size: .9rem }
[dir] { overflow-wrap: anywhere }
@media (max-width: 45rem) {
  summary { grid-template-columns: 1rem 1fr } summary > [dir] { grid-column: 2 }
  li { grid-template-columns: 1fr } ol { padding: 0 }
}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="xqr-bench {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{order}. Open a language to see the ranks of its relevant sentences and what stood above them.</p>
{notes}
{questions}
</main>
</body>
</html>
"""


def questions_page(
    questions: Questions, views: Sequence[QuestionView], *, command: str | None = None, named: bool = False
) -> str:
    """The page: each question in its languages, each of which can be opened.

    Args:
        questions: what is looked at.
        views: of `questions`, in the order shown.
        command: what makes a record that tells what stood above.
        named: the questions were asked for by their ids.
    """
    return Markup(_PAGE).format(
        version=__version__,
        title=shown(heading(questions)),
        style=Markup(_STYLE),
        order=shown(order(questions, len(views), named=named).capitalize()),
        notes=_lines(Markup('<p class="dim">{}</p>').format(shown(note)) for note in notes(questions, command)),
        questions=_lines(_question(questions, view, place) for place, view in enumerate(views, start=1)),
    )


def _lines(parts: Iterable[Markup]) -> Markup:
    return Markup("\n").join(parts)


def _question(questions: Questions, view: QuestionView, place: int) -> Markup:
    many = len(questions.record.task.all_languages) > MOST_COLUMNS
    queries = view.queries[:MOST] if many else view.queries
    left = len(view.queries) - len(queries)
    return Markup('<section>\n<h2>{}. {}</h2>\n<p class="dim">{}{}</p>\n{}\n{}</section>').format(
        place,
        _text(view.article or view.question, None),
        shown(value_text(questions, view) + mean_over(view)),
        Markup("; question {}").format(_text(view.question, None)) if view.article else "",
        _lines(_query(questions, view, one, is_open=one is queries[0]) for one in queries),
        Markup("<p>and in {} more languages, with a better value</p>\n").format(left) if left else "",
    )


def _text(text: str, code: str | None, *, tag: str = "bdi") -> Markup:
    """Text of a stranger in its language and direction."""
    language = Markup("") if code is None else Markup(' lang="{}"').format(code)
    return Markup('<{0}{1} dir="auto">{2}</{0}>').format(Markup(tag), language, shown(text, instead=""))


def _query(questions: Questions, view: QuestionView, one: QueryView, *, is_open: bool) -> Markup:
    if one.hits:
        best = Markup("<h3>{}</h3>\n<ol>\n{}\n</ol>\n").format(
            f"What stood first: {of_the_best(questions)}", _lines(map(_hit, one.hits))
        )
    elif questions.why_no_hits is None:
        best = Markup('<p class="dim">{}</p>\n').format(none_of_them(questions))
    else:
        best = Markup("")
    return Markup(
        '<details{}><summary><span class="figures">{}<br>{}</span>{}</summary>\n'
        "<h3>Relevant sentences</h3>\n<ol>\n{}\n</ol>\n{}</details>"
    ).format(
        Markup(" open") if is_open else "",
        language_text(one.language),
        shown(value_text(questions, one)),
        _text(one.text or f"{one.language}:{view.question}", None if one.text is None else one.language, tag="span"),
        _lines(_relevant(questions, relevant) for relevant in one.relevants),
        best,
    )


def _item(figures: str, one: RankedRelevant | TopHit, *, is_relevant: bool) -> Markup:
    text = Markup("") if one.text is None else _text(one.text, one.language, tag="div")
    mark = Markup(' class="relevant"') if is_relevant else ""
    return Markup('<li{}><div class="figures">{}<br>{}</div><div>{}<span class="id">{}</span></div></li>').format(
        mark, language_text(one.language), figures, text, _text(one.id, None)
    )


def _relevant(questions: Questions, one: RankedRelevant) -> Markup:
    own = f"rank {rank_text(one.own_rank, one.own_tied)} in its language"
    pooled = f"rank {rank_text(one.rank, one.tied)} in the pool, "
    parts = [pooled + own.removeprefix("rank ") if questions.setting == MULTILINGUAL else own]
    tied = one.tied if questions.setting == MULTILINGUAL else one.own_tied
    if tied > 1:
        parts.append(f"~ mean over the orders of {tied:,} candidates with the same score")
    if one.gain != 1 or not one.counts:
        parts.append(f"gain {one.gain:g}{'' if one.counts else ', too low to count as relevant'}")
    return _item("; ".join(parts), one, is_relevant=False)


def _hit(hit: TopHit) -> Markup:
    score = "" if hit.score is None else f", score {kept_score(hit.score)}"
    tied = ", the same score as the one before" if hit.tied else ""
    figures = f"place {hit.place}{score}{tied}{f'; {hit.relation}' if hit.relation else ''}"
    return _item(figures, hit, is_relevant=hit.relation == IS_RELEVANT)
