"""Single questions with what was found for them, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from xqr_bench.analysis.questions import (
    HAS_ANSWER,
    IN_GROUP,
    IS_RELEVANT,
    LARGER_IS_WORSE,
    NOT_RELEVANT,
    QueryView,
    Questions,
    QuestionView,
    RankedRelevant,
    TopHit,
)
from xqr_bench.core.languages import language
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL, N_HITS, STRICT
from xqr_bench.measure.scores import Figure
from xqr_bench.report.numbers import kept_score, metric_title, number, short, signed
from xqr_bench.report.text import isolated, text_lines, wrap

MOST = 12
"""Languages and relevants of a question on a terminal."""
ID_WIDTH = 24
WORDS = {IS_RELEVANT: "relevant", IN_GROUP: "paragraph", HAS_ANSWER: "answer", NOT_RELEVANT: "judged"}
MEANINGS = {
    IS_RELEVANT: "relevant: answers the question",
    IN_GROUP: "paragraph: in the same paragraph as a relevant, does not count as one",
    HAS_ANSWER: "answer: in the same paragraph as a relevant and contains the answer, does not count as one",
    NOT_RELEVANT: "judged: was judged, and found not relevant",
}


def heading(questions: Questions) -> str:
    """Which record, and its figure over all questions looked at."""
    record, metric = questions.record, metric_title(questions.metric.name, inside=True)
    rule = "" if questions.relevance == STRICT else f" by {questions.relevance} relevance"
    where = f"in the {questions.setting} setting{rule}"
    if questions.language is not None and questions.candidates is not None:
        where += f", {questions.language}>{questions.candidates}"
    elif questions.language is not None:
        where += f", asked in {questions.language}"
    elif questions.candidates is not None:
        where += f", answered in {questions.candidates}"
    figure = _figure(questions)
    value = "" if figure is None else f" {number(figure.value)}"
    return f"{record.model.name} on {record.task.name}: {metric}{value} {where}"


def _figure(questions: Questions) -> Figure | None:
    """The record's figure of what is looked at; None: it has none of its own."""
    scores = questions.record.scores_under(questions.relevance)[questions.setting]
    asked, answered = questions.language, questions.candidates
    if asked is None:
        of = scores.macro if answered is None else {}
    elif answered is None or asked == answered:
        of = scores.by_query_language.get(asked, {})
    else:
        of = scores.by_language_pair.get(f"{asked}>{answered}", {})
    return of.get(questions.metric.name)


def order(questions: Questions, n: int, *, named: bool) -> str:
    """How many questions are shown, and in which order."""
    metric, which = metric_title(questions.metric.name, inside=True), f"{n:,} of {questions.n_questions:,} questions"
    if named:
        return f"{which}, as asked for"
    if questions.against is not None:
        return f"{which}: the largest loss of {metric} against {questions.against.model.name}"
    return f"{which}: the {'highest' if questions.metric.name in LARGER_IS_WORSE else 'lowest'} {metric}"


def notes(questions: Questions, command: str | None) -> list[str]:
    """What a reader has to know of the record: its part of the task, and what it does not tell.

    Args:
        questions: of the record.
        command: what makes a record that tells what stood above; None: there is none, or it is not needed.
    """
    task, lines = questions.record.task, []
    if task.demonstration:
        lines.append(task.demonstration_note)
    if task.partial:
        parts = ", ".join(f"{key}: {value}" for key, value in task.partial.items())
        lines.append(f"the record is of a part of the task ({parts}), and ranks are in that part")
    if questions.data is None:
        lines.append("ids only: without the texts of the task (--ids)")
    if questions.only_order and questions.why_no_hits is None:
        lines.append("of the scores of two stages only the order is kept, which is shown without them")
    if questions.why_no_hits is not None:
        how = f": {command}" if command is not None and questions.why_no_hits.endswith("evaluate it again") else ""
        lines.append(f"what stood above is not known: {questions.why_no_hits}{how}")
    return lines


def value_text(questions: Questions, view: QuestionView | QueryView) -> str:
    """The value of a question or query, and that of the other record where there is one."""
    name = metric_title(questions.metric.name, inside=True)
    if view.against is None or questions.against is None:
        return f"{name} {number(view.value)}"
    other = short(questions.against.model.name, ID_WIDTH)
    return f"{name} {number(view.value)}, {other} {number(view.against)} ({signed(view.value - view.against)})"


def mean_over(view: QuestionView) -> str:
    """What the value of a question is a mean over, where it is one."""
    return f", mean over {len(view.queries)} query languages" if len(view.queries) > 1 else ""


def rank_text(rank: float | None, tied: int) -> str:
    """A rank as the record has it; of ties the mean over their orders, marked with ~."""
    if rank is None:
        return "–"
    text = f"{rank:,.1f}" if rank % 1 else f"{rank:,.0f}"
    return f"{text}~" if tied > 1 else text


# A terminal.


def question_lines(
    questions: Questions,
    views: Sequence[QuestionView],
    *,
    above: int = 5,
    width: int = 100,
    isolate: bool = True,
    command: str | None = None,
    named: bool = False,
) -> Iterator[str]:
    """The questions as lines of a terminal.

    Of each the query language with the worst value is shown with the ranks of its relevants and its best candidates.

    Args:
        questions: what is looked at.
        views: of `questions`, in the order shown.
        above: best candidates shown of each.
        width: cells of the terminal.
        isolate: put Unicode isolates around right-to-left text.
        command: see `notes`.
        named: the questions were asked for by their ids.
    """
    table = partial(text_lines, width=width, isolate=isolate)
    yield from wrap(heading(questions), width)
    yield from wrap(order(questions, len(views), named=named), width)
    for line in notes(questions, command):
        yield from wrap(f"! {line}", width)
    relations: set[str] = set()
    for place, view in enumerate(views, start=1):
        title = f" ({view.article})" if view.article else ""
        yield ""
        yield "═" * width
        first = f"{place}. {view.question}{title}: {value_text(questions, view)}{mean_over(view)}"
        yield from (_isolated(line, isolate) for line in wrap(first, width))
        yield ""
        asked = view.queries[:MOST]
        rows = [(number(one.value), one.language, one.text or f"{one.language}:{view.question}") for one in asked]
        yield from table(
            (metric_title(questions.metric.name, inside=True), "lang", "asked as"), rows, figures=1, lines=2
        )
        if len(view.queries) > len(asked):
            yield f"and in {len(view.queries) - len(asked)} more languages, with a better value"
        worst = view.queries[0]
        yield ""
        yield from wrap(_whose(questions, view), width)
        yield ""
        yield from _relevant_lines(questions, worst, table)
        if worst.hits[:above]:
            yield ""
            yield from _hit_lines(questions, worst.hits[:above], table)
            relations |= {hit.relation for hit in worst.hits[:above]} - {""}
        elif questions.why_no_hits is None and above:
            yield ""
            yield from wrap(none_of_them(questions), width)
    if relations:
        yield ""
        for relation, meaning in MEANINGS.items():
            if relation in relations:
                yield from wrap(meaning, width)


def _isolated(line: str, isolate: bool) -> str:
    return isolated(line, rtl=False) if isolate else line


def _whose(questions: Questions, view: QuestionView) -> str:
    """Which ranking is shown below the question."""
    worst = view.queries[0]
    what = "asked in" if len(view.queries) == 1 else "its worst language,"
    return f"{what} {language_text(worst.language)}: {value_text(questions, worst)}"


def language_text(code: str) -> str:
    """A language's name with its code."""
    row = language(code)
    return code if row is None else f"{row.name} ({code})"


def _relevant_lines(questions: Questions, view: QueryView, table: partial[list[str]]) -> Iterator[str]:
    pooled = questions.setting == MULTILINGUAL
    graded = len({one.gain for one in view.relevants} | {1.0}) > 1
    heads = (["in pool"] if pooled else []) + ["in lang"] + (["gain"] if graded else [])
    yield f"relevant sentences, ranked {'in the pool of all languages and ' if pooled else ''}in their own"
    rows = []
    for one in view.relevants[:MOST]:
        figures = ([rank_text(one.rank, one.tied)] if pooled else []) + [rank_text(one.own_rank, one.own_tied)]
        figures += [f"{one.gain:g}{'' if one.counts else ' (too low)'}"] if graded else []
        rows.append([*figures, one.language, *_id_and_text(one)])
    more = ["id"] if view.relevants and view.relevants[0].text is not None else []
    yield from table([*heads, "lang", *more, "relevant"], rows, figures=len(heads), lines=2)
    if len(view.relevants) > MOST:
        last = view.relevants[-1]
        rank = rank_text(last.rank, last.tied) if pooled else rank_text(last.own_rank, last.own_tied)
        yield f"and {len(view.relevants) - MOST} more, the last at rank {rank} ({last.language})"
    if any(one.tied > 1 if pooled else one.own_tied > 1 for one in view.relevants[:MOST]):
        yield "~ mean rank over all orders of candidates with the same score"


def _id_and_text(one: RankedRelevant | TopHit) -> list[str]:
    return [one.id] if one.text is None else [short(one.id, ID_WIDTH), one.text]


def _hit_lines(questions: Questions, hits: Sequence[TopHit], table: partial[list[str]]) -> Iterator[str]:
    rows = []
    for hit in hits:
        scores = [] if hit.score is None else [kept_score(hit.score)]
        place = f"{hit.place}{'=' if hit.tied else ''}"
        rows.append([place, *scores, hit.language, WORDS.get(hit.relation, ""), *_id_and_text(hit)])
    figures = ["place"] if questions.only_order else ["place", "score"]
    more = ["id"] if hits[0].text is not None else []
    yield from table([*figures, "lang", "", *more, of_the_best(questions)], rows, figures=len(figures), lines=2)
    if any(hit.tied for hit in hits):
        yield "= the same score as the one before; these stand in the order of the pool"


def of_the_best(questions: Questions) -> str:
    """Which of the best candidates are shown."""
    if questions.setting == MULTILINGUAL:
        return f"best of the pool of {len(questions.record.task.languages)} languages"
    if questions.setting == MONOLINGUAL or questions.candidates is not None:
        return "those in this language"
    return "those in other languages"


def none_of_them(questions: Questions) -> str:
    """Why no best candidate is shown, though they are known."""
    return (
        f"none of the {N_HITS} best candidates of the pool of {len(questions.record.task.languages)} languages, which "
        "are kept, is in the languages looked at"
    )
