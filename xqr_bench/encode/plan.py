"""Which texts to encode, and where their vectors go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xqr_bench.encode.protocol import Role
from xqr_bench.types import Candidate, IntArray, Query, TaskData


@dataclass(frozen=True)
class Destination:
    """The vectors of one task's queries or candidates.

    Attributes:
        task, role: whose.
        text_of_row: for each row the index of its text in the group, int64 `[rows]`.
    """

    task: TaskData
    role: Role
    text_of_row: IntArray

    @property
    def key(self) -> tuple[str, Role]:
        """Task name and role."""
        return self.task.name, self.role

    def rows_of(self, texts: IntArray) -> tuple[IntArray, IntArray]:
        """Rows whose text is among these texts of the group, and for each row which of them it is.

        Args:
            texts: indices into the texts of the group, int64 `[n]`, each once.

        Returns:
            rows int64 `[m]`, and positions in `texts` int64 `[m]`.
        """
        rows, sorted_texts = self._rows_by_text
        low = np.searchsorted(sorted_texts, texts, side="left")
        counts = np.searchsorted(sorted_texts, texts, side="right") - low
        before = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) + np.repeat(low - before, counts)
        return rows[within], np.repeat(np.arange(len(texts)), counts)

    @cached_property
    def _rows_by_text(self) -> tuple[IntArray, IntArray]:
        rows = np.argsort(self.text_of_row, kind="stable")
        return rows, self.text_of_row[rows]


@dataclass(frozen=True)
class Group:
    """Texts that are encoded alike.

    Attributes:
        role: how to encode them.
        roles: the roles in which they occur (both when the encoder is symmetric).
        texts: distinct, the longest first, equally long ones in order of their characters.
        destinations: where their vectors go.
    """

    role: Role
    roles: tuple[Role, ...]
    texts: list[str]
    destinations: tuple[Destination, ...]


def items_of(task: TaskData, role: Role) -> Sequence[Query | Candidate]:
    """The task's queries or candidates."""
    return task.queries if role == "query" else task.candidates


def plan_groups(tasks: Sequence[TaskData], *, symmetric: bool) -> list[Group]:
    """One group of distinct texts per role, or a single one when queries and candidates are encoded alike."""
    shapes: tuple[tuple[Role, ...], ...] = (("query", "candidate"),) if symmetric else (("query",), ("candidate",))
    groups = []
    for roles in shapes:
        places = [(task, role) for task in tasks for role in roles]
        distinct = {item.text for task, role in places for item in items_of(task, role)}
        texts = sorted(distinct, key=lambda text: (-len(text), text))
        index = {text: i for i, text in enumerate(texts)}
        destinations = []
        for task, role in places:
            text_of_row = np.array([index[item.text] for item in items_of(task, role)], dtype=np.int64)
            destinations.append(Destination(task, role, text_of_row))
        groups.append(Group(roles[0], roles, texts, tuple(destinations)))
    return groups


def name_text(tasks: Sequence[TaskData], roles: Sequence[Role], text: str | int) -> str:
    """Name a text for a message by its first occurrence, or by its row: role, id, task, and how it begins."""
    for task in tasks:
        for role in roles:
            items = items_of(task, role)
            found = items[text] if isinstance(text, int) else next((item for item in items if item.text == text), None)
            if found is not None:
                beginning = found.text if len(found.text) <= 60 else found.text[:59] + "…"
                return f"the {role} {found.id} of {task.name} ({beginning!r})"
    return repr(text)
