"""The leaderboard folder -> the leaderboard JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xqr_bench.board.facts import board_tasks, data_facts, find_task
from xqr_bench.board.files import record_paths
from xqr_bench.board.model import (
    GroupFacts,
    LanguageFacts,
    Leaderboard,
    MetricFacts,
    Refused,
    Row,
    TaskFacts,
)
from xqr_bench.board.names import Entry, clashes
from xqr_bench.board.row import TESTS, make_row, standings_once
from xqr_bench.board.submissions import check_placed, one_line, read_published
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.languages import language
from xqr_bench.core.observe import Observer
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import MAIN_METRIC, SETTINGS, Ranks
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import load_record
from xqr_bench.record.describe import groups_of
from xqr_bench.tasks import TaskSpec


def read_leaderboard(
    leaderboard: Path | str = "leaderboard",
    *,
    task: str | None = None,
    test: bool = True,
    observe: Observer | None = None,
) -> Leaderboard:
    """Read the folder and find out who cannot be told apart from the best.

    Each submission is checked as `verify` does, with one difference: the figures of a record that this code found to
    follow from its ranks before are not computed once more. Faulty ones, those whose names or ranks clash, and faulty
    files of published figures are listed as refused and not shown.

    Args:
        leaderboard: the folder.
        task: only this task.
        test: compute standings.
        observe: hears of each submission and of each contest.

    Raises:
        UsageError: there is no such folder.
        UnknownNameError: there is no such task.
    """
    folder = Path(leaderboard)
    if not folder.is_dir():
        raise UsageError(f"there is no leaderboard folder {folder}", remedy="name it: --leaderboard DIR")
    specs = board_tasks()
    if task is not None:
        find_task(task)
    hearer, observe = observe, observe or Observer()
    rows: list[Row] = []
    refused: list[Refused] = []
    places: dict[str, tuple[Path, str]] = {}
    entries: list[Entry] = []
    for path in record_paths(folder):
        if task not in (None, path.stem):
            continue
        place = path.relative_to(folder).as_posix()
        try:
            with observe.phase(place):
                record = check_placed(path, folder, observe=hearer, again=False)
                row = make_row(path, folder, record)
        except XqrBenchError as error:
            refused.append(Refused(path=place, fault=one_line(error, folder)))
            continue
        rows.append(row)
        entries.append(Entry.of(record, row.record))
        places[row.id] = path, record.ranks_file.digest
    published, faults = read_published(folder)
    papers = [Entry(paper.id, paper.model) for paper in published]
    clashing = clashes(entries, papers)
    refused += [Refused(path=path, fault=shown_line(why)) for path, why in clashing.items()]
    rows = [row for row in rows if row.record not in clashing]
    contests: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    for row in rows:
        if row.contest:
            contests[row.task, row.protocol.name][row.id] = places[row.id][0]
    refused += [Refused(path=fault.path, fault=fault.text) for fault in faults]
    by_id = {row.id: row for row in rows}
    for (name, protocol), contestants in sorted(contests.items()) if test else ():
        settings = [name for name in SETTINGS if all(name in by_id[row].protocol.settings for row in contestants)]
        with observe.phase(f"tests: {name}, {protocol}, {len(contestants)} rows"):
            digests = {row_id: places[row_id][1] for row_id in contestants}
            for row_id, of_row in standings_once(_RanksAt(contestants), digests, settings).items():
                by_id[row_id].standing = of_row
    with_rows = {task, *(row.task for row in rows), *(row.task for row in published)}
    tasks = {name: _task_facts(spec) for name, spec in specs.items() if task in (None, name) and name in with_rows}
    names = dict.fromkeys(name for facts in tasks.values() for name in facts.metrics)
    names |= dict.fromkeys(name for row in rows for figures in row.scores.values() for name in figures.macro)
    return Leaderboard(
        tasks=tasks,
        metrics={
            name: MetricFacts(kind=metric.kind, summary=metric.summary, settings=list(metric.settings))
            for name, metric in ((name, parse_metric(name)) for name in names)
        },
        tests=TESTS,
        rows=sorted(
            rows, key=lambda row: (list(specs).index(row.task), -_main_value(row, specs[row.task].settings), row.id)
        ),
        published=[row for row in published if row.task in tasks and row.id not in clashing],
        refused=refused,
    )


class _RanksAt(Mapping[str, Ranks]):
    """Ranks by row, read each time they are asked for: those of a thousand rows do not fit into memory."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, row_id: str) -> Ranks:
        return load_record(self._paths[row_id], ranks=True, whole=False).ranks

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def leaderboard_text(board: Leaderboard) -> str:
    """The leaderboard as JSON text; absent fields are left out, an undefined `value` is null."""
    data = board.model_dump(mode="json", exclude_none=True)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _main_value(row: Row, settings: Sequence[str]) -> float:
    """MAP in the last of the task's settings, which is the multilingual one where it has that."""
    scores = row.scores.get(settings[-1])
    value = scores.macro[MAIN_METRIC].value if scores is not None else None
    return -1.0 if value is None else value


_OF_LANGUAGE = ("name", "script", "right_to_left", "resource_class", "cc100_gib", "wikipedia_articles")


def _task_facts(spec: TaskSpec) -> TaskFacts:
    facts = data_facts(spec)
    languages = []
    for code in dict.fromkeys((*spec.pool, *spec.languages)):
        row = language(code)
        described = {name: getattr(row, name) for name in _OF_LANGUAGE} if row is not None else {}
        counts = {"queries": facts.queries.get(code, 0), "candidates": facts.candidates.get(code, 0)}
        languages.append(LanguageFacts(code=code, **{"name": code, **described, **counts}))
    return TaskFacts(
        title=spec.title,
        description=" ".join(spec.description.split()),
        settings=list(spec.settings),
        metrics=list(spec.metrics),
        languages=languages,
        groups={
            name: GroupFacts(
                description=spec.group_description(name),
                languages=list(group.languages),
                missing=list(group.missing),
                undefined_reason=group.undefined_reason,
            )
            for name, group in groups_of(spec).items()
        },
        n_questions=facts.n_questions,
        n_articles=facts.n_articles,
        n_queries=sum(facts.queries.values()),
        n_candidates=sum(facts.candidates.values()),
        n_relevants=facts.n_relevants,
        revision=spec.revision or None,
        licence=spec.licence.model_dump() if spec.licence else None,
    )
