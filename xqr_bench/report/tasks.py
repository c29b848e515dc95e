"""The tasks as a listing: what each has, by language where its data is at hand."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from xqr_bench.core.languages import LANGUAGES
from xqr_bench.core.types import LENIENT, TaskData
from xqr_bench.report.table import Table, columns
from xqr_bench.tasks import TaskSpec

REPEATED = (
    "repeated: questions whose answer stands, character for character, in another sentence of\n"
    "its paragraph too; under lenient relevance that one leaves the ranking (docs/relevance.md)"
)


def tasks_table(specs: Sequence[TaskSpec]) -> Table:
    """A row a task."""
    rows = [
        (
            spec.name,
            spec.title,
            f"{len(spec.languages)}: {' '.join(spec.languages)}",
            spec.licence.name if spec.licence else "not stated",
        )
        for spec in specs
    ]
    return Table("", columns("task", "title", "languages", "licence", names=4), rows, frame="list")


def languages_table(spec: TaskSpec, data: TaskData | None) -> Table:
    """A row per language; counts where the data is at hand."""
    rows = []
    for code in spec.languages:
        row = LANGUAGES.get(code)
        names = [row.name, row.script, str(row.resource_class)] if row else ["-", "-", "-"]
        gib, articles = (row.cc100_gib, row.wikipedia_articles) if row else (None, None)
        rows.append([code, *names, "-" if gib is None else f"{gib:g}", "-" if articles is None else f"{articles:,}"])
    headings, notes = ["code", "language", "script", "class", "CC-100, GiB", "Wikipedia"], []
    if data is not None:
        headings += ["questions", "candidates"]
        queries = [query.language for query in data.queries]
        for cells, size in zip(rows, data.column_sizes, strict=True):
            cells += [f"{queries.count(cells[0]):,}", f"{size:,}"]
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
    counts: dict[str, list[bool]] = {code: [] for code in (*data.languages, "all")}
    for query, echoes in zip(data.queries, data.echoes, strict=True):
        repeated = any(language[index] == query.language for index in echoes)
        counts[query.language].append(repeated)
        counts["all"].append(repeated)
    return {code: sum(one) / max(1, len(one)) for code, one in counts.items()}


def fact_lines(spec: TaskSpec) -> list[str]:
    """Lines of a key and a value; only lists are wrapped, so that addresses can be copied."""
    facts = {"settings": ", ".join(spec.settings), "metrics": ", ".join(spec.metrics)}
    for name, group in spec.group_members().items():
        lacks = f" (not in this task: {', '.join(group.absent)})" if group.members and group.absent else ""
        facts[f"group {name}"] = group.reason or ", ".join(group.members) + lacks
    facts["licence"] = f"{spec.licence.name}, {spec.licence.url}" if spec.licence else "not stated"
    if spec.base_url:
        facts["source"] = spec.base_url.format(revision=spec.revision, path="...")
    else:
        facts["source"] = "shipped in the package" if spec.embedded else "beside the task file"
    facts["task file"] = str(spec.origin)
    width = max(map(len, facts)) + 2
    lines = []
    for key, value in facts.items():
        parts = textwrap.wrap(value, 98 - width, break_long_words=False, break_on_hyphens=False)
        lines += [f"{key if not n else '':{width}}{part}" for n, part in enumerate(parts)]
    return lines
