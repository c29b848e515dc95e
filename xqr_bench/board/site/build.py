"""The leaderboard JSON -> a folder of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from xqr_bench import __version__
from xqr_bench.board.model import LEADERBOARD_VERSION, Leaderboard
from xqr_bench.board.site.html import asset, datatables, render
from xqr_bench.board.site.model_page import facts, sections
from xqr_bench.board.site.payload import (
    CONTEST,
    EXPOSED,
    PARTS,
    PUBLISHED,
    REFERENCE,
    Entry,
    embedded_json,
    frontier_panels,
    make_entries,
    payload,
    percent,
)
from xqr_bench.board.table import leaderboard_text
from xqr_bench.core import strict_json
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.files import write_text

LISTING = "site-files.txt"
JSON_FILE = "leaderboard.json"
MAX_BOARD = 512 * 2**20  # bytes of a leaderboard JSON


@dataclass(frozen=True)
class MorePage:
    """A page with its own place in the navigation, which both appear only where its data is there.

    Attributes:
        file: its name, such as `ratio.html`.
        title: its name in the navigation.
        present: whether the leaderboard has what it shows.
        make: the page, from the leaderboard and what every page needs (`title`, `root`, `navigation`, `footer`).
    """

    file: str
    title: str
    present: Callable[[Leaderboard], bool]
    make: Callable[[Leaderboard, dict[str, Any]], str]


MORE_PAGES: tuple[MorePage, ...] = ()


def build_site(board: Leaderboard, out: Path | str, more: Sequence[MorePage] = MORE_PAGES) -> list[Path]:
    """Write the site; the same leaderboard gives the same bytes.

    Args:
        board: the leaderboard JSON.
        out: a folder that is new, empty, or holds a site built before: its pages are replaced.
        more: further pages.

    Returns:
        the files written, the index first.

    Raises:
        XqrBenchError: the folder holds other files, or a package is missing.
    """
    folder = Path(out)
    old = _old_files(folder)
    pages = make_pages(board, more)
    names = sorted(pages)
    for name in old:
        if name not in pages and (folder / name).is_file():
            (folder / name).unlink()
    for name in names:
        write_text(folder / name, pages[name])
    write_text(folder / LISTING, "".join(f"{name}\n" for name in names))
    return [folder / "index.html", *(folder / name for name in names if name != "index.html")]


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


def make_pages(board: Leaderboard, more: Sequence[MorePage] = MORE_PAGES) -> dict[str, str]:
    """The site as path -> text."""
    entries = make_entries(board)
    shown = [page for page in more if page.present(board)]
    navigation = [
        ("index.html", "Leaderboard"),
        ("compare.html", "Compare"),
        *((page.file, page.title) for page in shown),
        ("about.html", "About"),
    ]
    footer = _footer(board)

    def common(file: str, title: str) -> dict[str, Any]:
        root = "../" * (len(PurePosixPath(file).parts) - 1)
        return {"title": title, "file": file, "root": root, "navigation": navigation, "footer": footer}

    pages = {
        "index.html": render(
            "index.html.jinja",
            script=datatables() + asset("common.js") + asset("index.js"),
            data=embedded_json(payload(board, entries)),
            board=board,
            entries=entries,
            parts=PARTS,
            level=percent(board.interval_level),
            filters=_filters(entries),
            panels=frontier_panels(board),
            **common("index.html", "Leaderboard"),
        ),
        "compare.html": render(
            "compare.html.jinja",
            script=asset("common.js") + asset("compare.js"),
            data=embedded_json(payload(board, entries, pairs=True)),
            board=board,
            **common("compare.html", "Compare two models"),
        ),
        "about.html": render(
            "about.html.jinja",
            board=board,
            level=percent(board.interval_level),
            **common("about.html", "About the figures"),
        ),
        **{
            entry.page: render(
                "model.html.jinja",
                board=board,
                entry=entry,
                sections=sections(entry, board),
                siblings=_siblings(entry, entries),
                facts=facts,
                level=percent(board.interval_level),
                **common(entry.page, entry.model),
            )
            for entry in entries
        },
        **{page.file: page.make(board, common(page.file, page.title)) for page in shown},
        JSON_FILE: leaderboard_text(board),
    }
    return pages


def _footer(board: Leaderboard) -> str:
    dates = [row.provenance.created[:10] for row in board.rows]
    newest = f"; newest record of {max(dates)}" if dates else ""
    rows, papers = len(board.rows), len(board.published)
    return (
        f"{rows} record{'' if rows == 1 else 's'}, {papers} published row{'' if papers == 1 else 's'}{newest}. "
        f"Made by xqr-bench {__version__}."
    )


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


def _siblings(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """Other versions and published figures of the model."""
    return [other for other in entries if other.model == entry.model and other.key != entry.key]


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
        if folder.exists() and any(folder.iterdir()):
            raise XqrBenchError(f"{folder} holds files that are no site of xqr-bench", remedy=remedy)
        return []
    names = listing.read_text(encoding="utf-8").splitlines()
    return [name for name in names if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts]
