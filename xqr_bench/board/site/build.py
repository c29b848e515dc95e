"""The leaderboard JSON -> a folder of pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from xqr_bench import __version__
from xqr_bench.board.model import (
    LEADERBOARD_VERSION,
    Figures,
    Leaderboard,
    PublishedRow,
    Row,
    TaskFacts,
)
from xqr_bench.board.site.finding import finding, shape, share
from xqr_bench.board.site.html import SETTING_LABELS, HeatRow, asset, bars, datatables, heat_map, render
from xqr_bench.board.site.payload import (
    CONTEST,
    EXPOSED,
    PAIR_METRIC,
    PARTS,
    PUBLISHED,
    REFERENCE,
    Entry,
    embedded_json,
    frontier_panels,
    languages_of,
    loaded_file,
    make_entries,
    metrics_of,
    model_data,
    page_data,
    percent,
    table_figures,
    table_standings,
)
from xqr_bench.board.site.questions import QuestionValues, question_files
from xqr_bench.board.table import leaderboard_text
from xqr_bench.core import strict_json
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.files import is_left_behind, write_text
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, STRICT
from xqr_bench.measure.scores import Figure

LISTING = "site-files.txt"
JSON_FILE = "leaderboard.json"
MAX_BOARD = 512 * 2**20  # bytes of a leaderboard JSON


@dataclass(frozen=True)
class MorePage:
    """A page beside those of the board.

    Attributes:
        file: its name, such as `ratio.html`.
        title: its name in the navigation.
        make: the page, from what every page needs (`title`, `root`, `navigation`, `footer`).
        listed: whether it stands in the navigation.
        files: what the page loads: path within the site -> text.
    """

    file: str
    title: str
    make: Callable[[dict[str, Any]], str]
    listed: bool = True
    files: Mapping[str, str] = field(default_factory=dict)


def build_site(
    board: Leaderboard,
    out: Path | str,
    more: Sequence[MorePage] = (),
    *,
    checked: bool = True,
    questions: QuestionValues | None = None,
) -> list[Path]:
    """Write the site; the same leaderboard gives the same bytes.

    Args:
        board: the leaderboard JSON.
        out: a folder that is new, empty, or holds a site built before: its pages are replaced.
        more: further pages.
        checked: whether its figures were compared with the ranks; else every page says that they were not.
        questions: the values of each question, for the tests of the comparison; None: it tests nothing.

    Returns:
        the files written, the index first.

    Raises:
        XqrBenchError: the folder holds other files, or a package is missing.
    """
    folder = Path(out)
    old = _old_files(folder)
    pages = make_pages(board, more, checked=checked, questions=questions)
    _list(folder, {*old, *pages})  # first, so that what is stopped half-way can be built again
    for path in {folder / name for name in old} - {folder / name for name in pages}:
        if path.is_file():
            path.unlink()
    for name, text in pages.items():
        write_text(folder / name, text)
    _list(folder, pages)
    return [folder / name for name in sorted(pages, key=lambda name: (name != "index.html", name))]


def _list(folder: Path, names: Iterable[str]) -> None:
    write_text(folder / LISTING, "".join(f"{name}\n" for name in sorted(names)))


def read_json(path: Path) -> Leaderboard:
    """Read a leaderboard JSON.

    Raises:
        XqrBenchError: it cannot be read, or is no leaderboard JSON of this version.
    """
    remedy = "make it: xqr-bench leaderboard show --json > leaderboard.json"
    try:
        board = strict_json.validate(Leaderboard, strict_json.read(path, MAX_BOARD))
    except OSError as error:
        raise XqrBenchError(f"cannot read {path}: {error.strerror or error}", remedy=remedy) from error
    except ValidationError as error:
        raise XqrBenchError(
            f"{path} is no leaderboard JSON", found=strict_json.first_fault(error), remedy=remedy
        ) from error
    except ValueError as error:
        raise XqrBenchError(f"{path} is no leaderboard JSON: {error}", remedy=remedy) from error
    if board.leaderboard_version != LEADERBOARD_VERSION:
        raise XqrBenchError(
            f"{path} has version {board.leaderboard_version} of the leaderboard JSON",
            found=f"this xqr-bench reads version {LEADERBOARD_VERSION}",
            remedy=remedy,
        )
    return board


def make_pages(
    board: Leaderboard,
    more: Sequence[MorePage] = (),
    *,
    checked: bool = True,
    questions: QuestionValues | None = None,
) -> dict[str, str]:
    """The site as path -> text."""
    entries = make_entries(board)
    navigation = [
        ("index.html", "Leaderboard"),
        ("compare.html", "Compare"),
        *((page.file, page.title) for page in more if page.listed),
        ("about.html", "About"),
    ]
    dates = [row.provenance.created[:10] for row in board.rows]
    newest = f"; newest record of {max(dates)}" if dates else ""
    n, papers = len(board.rows), len(board.published)
    footer = (
        f"{n} record{'' if n == 1 else 's'}, {papers} published row{'' if papers == 1 else 's'}{newest}. "
        f"Made by xqr-bench {__version__}."
        f"{'' if checked else ' Its figures come from a JSON file and were not compared with any ranks.'}"
    )

    def common(file: str, title: str) -> dict[str, Any]:
        root = "../" * (len(PurePosixPath(file).parts) - 1)
        return {"title": title, "file": file, "root": root, "navigation": navigation, "footer": footer}

    def page(template: str, file: str, title: str, **context: Any) -> str:
        level = percent(board.interval_level)
        return render(f"{template}.html.jinja", board=board, level=level, **common(file, title), **context)

    panels, found = frontier_panels(board), finding(board)
    of_questions = question_files(questions or QuestionValues(), entries)
    pages = {
        "index.html": page(
            "index",
            "index.html",
            "Leaderboard",
            script=datatables() + asset("common.js") + asset("address.js") + asset("index.js"),
            loads=True,
            data=embedded_json(
                {
                    **page_data(board, entries),
                    "figures": table_figures(board, entries, board.tests.metric),
                    "standings": table_standings(board, entries),
                }
            ),
            entries=entries,
            filters=_filters(entries),
            panels=panels,
            found=found,
            shape=shape,
            share=share,
        ),
        "table.html": page("table", "table.html", "MAP of all rows", entries=entries, parts=PARTS),
        "compare.html": page(
            "compare",
            "compare.html",
            "Compare models",
            script="".join(map(asset, ("common.js", "address.js", "paired.js", "tested.js", "compare.js"))),
            loads=True,
            data=embedded_json({**page_data(board, entries), "tests": of_questions.places}),
        ),
        "about.html": page("about", "about.html", "About the figures", found=found),
        JSON_FILE: leaderboard_text(board),
    }
    if panels:
        pages["frontier.html"] = page("frontier", "frontier.html", "MAP and own language", panels=panels)
    for metric, folder in metrics_of(board, entries).items():
        for chosen, (_, stem) in languages_of(board).items():
            if chosen or metric != board.tests.metric:  # those stand in the index
                pages[f"figures/{folder}/{stem}.js"] = loaded_file(table_figures(board, entries, metric, chosen))
    keys = {row.id: entry.key for entry in entries for row in entry.rows.values()}
    for entry in entries:
        pages[f"models/{entry.key}.js"] = loaded_file(model_data(entry, board, keys))
        siblings = [other for other in entries if other.model == entry.model and other.key != entry.key]
        shown = {"entry": entry, "sections": sections(entry, board), "siblings": siblings, "facts": facts}
        pages[entry.page] = page("model", entry.page, entry.model, **shown)
    pages |= of_questions.files
    for one in more:
        pages |= {one.file: one.make(common(one.file, one.title)), **one.files}
    return pages


def _filters(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What the main table can be filtered by: name -> values; a filter with one value is left out."""
    statuses = {status for entry in entries for status in entry.statuses.values()}
    ranked = [entry for entry in entries if entry.part in (CONTEST, EXPOSED, REFERENCE)]
    filters: dict[str, list[str]] = {
        "status": [status for status in ("reproduced", "recomputed", "published") if status in statuses],
        "kind": sorted({entry.kind for entry in entries if entry.part != PUBLISHED}),
        "protocol": sorted({entry.protocol for entry in ranked}, key=lambda name: (name != "standard", name)),
        "index": sorted({entry.index for entry in ranked}, key=lambda name: (name != "exact", name)),
        "exposure": sorted({entry.exposure for entry in ranked}),
    }
    return {name: values for name, values in filters.items() if len(values) > 1}


def _old_files(folder: Path) -> list[str]:
    """The files of a site built before.

    Raises:
        XqrBenchError: the folder holds something else.
    """
    remedy = "name a new or empty folder with --out"
    if folder.exists() and not folder.is_dir():
        raise XqrBenchError(f"{folder} is not a folder", remedy=remedy)
    listing = folder / LISTING
    if not listing.is_file():
        if folder.exists() and not all(map(is_left_behind, folder.iterdir())):
            raise XqrBenchError(f"{folder} holds files that are no site of xqr-bench", remedy=remedy)
        return []
    names = listing.read_text(encoding="utf-8").splitlines()
    return [name for name in names if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts]


# What the page of one model shows, a section a task.


def sections(entry: Entry, board: Leaderboard) -> list[dict[str, Any]]:
    """What the template `task_section.html.jinja` shows of each task, in the order of the JSON's tasks.

    What a row does not bring is empty and not shown.
    """
    return [_section(name, task, entry.rows[name]) for name, task in board.tasks.items() if name in entry.rows]


def _section(name: str, task: TaskFacts, row: Row | PublishedRow) -> dict[str, Any]:
    settings = [setting for setting in SETTINGS if setting in row.scores]
    by_language = {
        setting: {
            code: figures[PAIR_METRIC]
            for code, figures in row.scores[setting].by_query_language.items()
            if PAIR_METRIC in figures
        }
        for setting in settings
    }
    record = row if isinstance(row, Row) else None
    marked = frozenset(record.unrepresented if record else ())
    return {
        "name": name,
        "task": task,
        "row": row,
        "record": record,
        "settings": settings,
        "scores": _turned({setting: row.scores[setting].macro for setting in settings}, task.metrics),
        "relevance": _relevance(record, settings) if record else {},
        "groups": _groups(row, settings),
        "plots": {
            setting: bars(task.languages, figures, f"{SETTING_LABELS[setting]} MAP by query language, {name}", marked)
            for setting, figures in by_language.items()
            if figures
        },
        "by_language": [
            (language, {setting: by_language[setting].get(language.code) for setting in settings})
            for language in task.languages
            if any(language.code in figures for figures in by_language.values())
        ],
        "pairs": _pairs(task, row, by_language.get(MONOLINGUAL, {})),
        "bias": {key: row.bias.macro[key] for key in task.metrics if key in row.bias.macro},
        "bias_by_language": [
            (language, row.bias.by_query_language[language.code])
            for language in task.languages
            if language.code in row.bias.by_query_language
        ],
        "positions": _positions(task, row),
        "multilingual_map": row.scores[MULTILINGUAL].macro.get(PAIR_METRIC) if MULTILINGUAL in settings else None,
        "texts": _texts(task, record) if record else [],
        "marked": marked,
        "reasons": list(_reasons(row)),
    }


def _texts(task: TaskFacts, record: Row) -> list[dict[str, Any]]:
    """What is known of the texts of each language and their vectors."""
    rows = []
    for language in task.languages:
        texts = record.diagnostics.get(language.code)
        if texts is not None and texts.queries is not None:
            cut = (texts.truncated_queries, texts.truncated_candidates)
            truncated = None if None in cut else sum(filter(None, cut))
            rows.append(
                {"language": language, "queries": texts.queries, "candidates": texts.candidates, "truncated": truncated}
            )
    return rows


def _ordered(names: Iterable[str], order: list[str]) -> list[str]:
    """Those of `order` first, in its order."""
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _turned(by_setting: Mapping[str, Figures], order: list[str]) -> dict[str, dict[str, Figure]]:
    """Setting -> metric -> figure as metric -> setting -> figure."""
    turned: dict[str, dict[str, Figure]] = {}
    for setting, figures in by_setting.items():
        for name, figure in figures.items():
            turned.setdefault(name, {})[setting] = figure
    return {name: turned[name] for name in _ordered(turned, order)}


def _relevance(record: Row, settings: list[str]) -> dict[str, dict[str, Figure]]:
    """Rule -> setting -> MAP, of records that have another rule beside the strict one."""
    rules = {STRICT: {setting: record.scores[setting].macro for setting in settings}}
    rules |= {name: under.scores for name, under in record.relevance.items() if under.scores}
    if len(rules) == 1:
        return {}
    return {
        name: {setting: figures[PAIR_METRIC] for setting, figures in scores.items() if PAIR_METRIC in figures}
        for name, scores in rules.items()
    }


def _groups(row: Row | PublishedRow, settings: list[str]) -> dict[str, dict[str, Figure]]:
    """Group -> setting (cross-lingual: `cross-lingual:into` and so on) -> MAP."""
    groups: dict[str, dict[str, Figure]] = {}
    for setting in settings:
        for key, figures in row.scores[setting].by_group.items():
            group, colon, way = key.partition(":")
            if PAIR_METRIC in figures:
                groups.setdefault(group, {})[f"{setting}{colon}{way}"] = figures[PAIR_METRIC]
    return groups


def _pairs(task: TaskFacts, row: Row | PublishedRow, monolingual: Figures) -> list[HeatRow]:
    of_pairs = row.scores[CROSS_LINGUAL].by_language_pair if CROSS_LINGUAL in row.scores else {}
    if len(of_pairs) <= sum(language.queries > 0 for language in task.languages) and not monolingual:
        return []  # one pair, or none, of each language of queries: the bars say the same
    values: dict[tuple[str, str], float | None] = {(code, code): one.value for code, one in monolingual.items()}
    for pair, of_metric in of_pairs.items():
        query, _, candidate = pair.partition(">")
        values[query, candidate] = of_metric.get(PAIR_METRIC)
    return heat_map(task.languages, values, "MAP")


def _positions(task: TaskFacts, row: Row | PublishedRow) -> list[HeatRow]:
    places = row.bias.language_position
    values = {(query, candidate): value for query, cells in places.items() for candidate, value in cells.items()}
    return heat_map(task.languages, values, "mean place") if values else []


def _reasons(row: Row | PublishedRow) -> Iterable[str]:
    tables = [scores.macro for scores in row.scores.values()] + [row.bias.macro]
    tables += [figures for scores in row.scores.values() for figures in scores.by_query_language.values()]
    undefined = (figure for figures in tables for figure in figures.values() if figure.value is None)
    return dict.fromkeys(figure.undefined_reason or "no reason is given" for figure in undefined)


def facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A table of anything as (name, text): plain values as they are, others as JSON."""
    return [
        (str(key).replace("_", " "), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in values.items()
        if value is not None
    ]
