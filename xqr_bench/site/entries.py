"""The rows of the leaderboard JSON put together: one entry a model and version, over all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xqr_bench.board.model import Leaderboard, PublishedRow, Row
from xqr_bench.report.script import visible
from xqr_bench.site.names import unique_stems

CONTEST, EXPOSED, REFERENCE, PUBLISHED = "contest", "exposed", "reference", "published"
PARTS = {
    CONTEST: "Submissions: recomputed from their ranks, compared with each other",
    EXPOSED: "Submissions trained on the task's source or texts: compared with the others, shown apart",
    REFERENCE: "References: the floor and the ceiling, outside the contest",
    PUBLISHED: "Published: figures from papers, without ranks, never compared with the others",
}


@dataclass(frozen=True)
class Entry:
    """One line of the main table.

    Attributes:
        key: what tells it from all others; safe in file names and addresses.
        page: path of its page within the site.
        part: contest, exposed (to the task's source or texts), reference or published.
        model: untrusted text, without control and direction characters.
        version: folder name of revision or digest; a published row's variant.
        rows: task -> row.
    """

    key: str
    page: str
    part: str
    model: str
    version: str
    kind: str
    protocol: str
    rows: Mapping[str, Row | PublishedRow] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[str, str]:
        """Task -> published, recomputed or reproduced."""
        return {task: row.status for task, row in self.rows.items()}

    @property
    def index(self) -> str:
        """The approximate index its ranks come from; `exact` where there is none."""
        found = {row.protocol.index or "exact" for row in self.rows.values() if isinstance(row, Row)}
        return ", ".join(sorted(found)) or "not stated"

    @property
    def unrepresented(self) -> dict[str, list[str]]:
        """Task -> languages whose queries the encoder does not tell apart; tasks without are left out."""
        return {
            task: row.unrepresented for task, row in self.rows.items() if isinstance(row, Row) and row.unrepresented
        }

    @property
    def exposure(self) -> str:
        """What is declared of the task's text in its training: a level where there is one."""
        found = {row.exposure.level for row in self.rows.values() if isinstance(row, Row)}
        return ", ".join(sorted(found)) or "not stated"


def make_entries(board: Leaderboard) -> list[Entry]:
    """All entries, in the order of the JSON: contest, references, published.

    Rows of one folder and version share an entry where they share the protocol.
    """
    grouped: dict[tuple[str, ...], dict[str, Row | PublishedRow]] = {}
    for row in board.rows:
        part = (EXPOSED if row.exposure_class == "exposed" else CONTEST) if row.contest else REFERENCE
        grouped.setdefault((part, row.folder, row.version, row.protocol.name), {})[row.task] = row
    for paper in board.published:
        grouped.setdefault((PUBLISHED, paper.model, paper.variant, paper.source.citation), {})[paper.task] = paper
    ordered = sorted(grouped, key=lambda key: list(PARTS).index(key[0]))
    stems = unique_stems({key: _page_name(key) for key in ordered})
    return [_entry(key, stems[key], grouped[key]) for key in ordered]


def _entry(key: tuple[str, ...], stem: str, rows: Mapping[str, Row | PublishedRow]) -> Entry:
    first = next(iter(rows.values()))
    return Entry(
        key=stem,
        page=f"models/{stem}.html",
        part=key[0],
        model=visible(first.model) or "(no name)",
        version=visible(key[2]),
        kind=first.kind if isinstance(first, Row) else "published",
        protocol=visible(first.protocol.name) if isinstance(first, Row) else "as published",
        rows=rows,
    )


def _page_name(key: tuple[str, ...]) -> str:
    part, model, version, protocol = key
    if part == PUBLISHED:
        return f"published--{model}--{version}"
    return f"{model}--{version}" + ("" if protocol == "standard" else f"--{protocol}")
