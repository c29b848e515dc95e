"""What two tasks share, so that figures can be given once more without it."""

from __future__ import annotations

from xqr_bench.exposure import find_texts
from xqr_bench.exposure.units import units
from xqr_bench.types import TaskData


def shared_questions(evaluated: TaskData, trained: TaskData) -> dict[str, str]:
    """Questions of articles with a title that the other task has too, and of paragraphs that touch its text.

    A paragraph touches the other task where `find_texts` finds it: whole, nearly, or by a run of eight words. A
    question goes with all its translations.

    Args:
        evaluated: whose questions are looked for.
        trained: the other task: its titles, questions and paragraphs.

    Returns:
        question id -> why.
    """
    titles = {tuple(units(title)) for title in trained.titles.values()}
    articles = {place for place, title in evaluated.titles.items() if tuple(units(title)) in titles}
    texts = [
        *(query.text for query in trained.queries),
        *(found.paragraph or found.text for found in trained.candidates),
    ]
    findings = find_texts(evaluated, dict.fromkeys(texts))
    paragraphs = {found.id for found in findings.found if found.kind == "paragraph"}
    reasons: dict[str, str] = {}
    for query, relevants in zip(evaluated.queries, evaluated.relevants, strict=True):
        for index in relevants:
            name = evaluated.candidates[index].id
            article, paragraph = name.rsplit(":", 2)[0], name.rsplit(":", 1)[0]
            if article in articles:
                reasons[query.question] = f"title: {evaluated.titles[article]}"
            elif paragraph in paragraphs:
                reasons.setdefault(query.question, f"paragraph: {paragraph}")
    return reasons
