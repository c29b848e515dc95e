"""What each question adds to the MAP of each row: from it the page of the comparison runs the tests of `compare`.

A file a row and task, of some 20 KB, read when the row is chosen, and one a task. Of a row, and of each setting:

- the figure, in float64;
- each question's value v_i, whose mean over the m questions of the figure is the figure (m times `linear.shares`), as
  a whole number of 31 bits: v_i = unit x number. On XQuAD-R a unit is 2^-31, so that no end of an interval moves by
  more than 5e-10, a 200,000th of the last digit that is printed;
- the level of each kind of question: v_i less its level is m times the linearised deviation. Questions are of one kind
  where they have values in the same language pairs; on XQuAD-R all are of one;
- where questions do not all have values in the same language pairs, the figure under the 2,000 resamples of the
  questions, which then do not follow from v_i.

The draws are those of `compare`: the page starts its generator, PCG64, from the same states.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from xqr_bench.analysis.compared import unlike
from xqr_bench.board.model import Leaderboard, Row
from xqr_bench.board.site.html import unique_stems
from xqr_bench.board.site.payload import Entry, loaded_file
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import MAIN_METRIC, SETTINGS, FloatArray, IntArray, Ranks
from xqr_bench.encode import vector_store
from xqr_bench.measure.certainty import MACRO, SEED, Figures, figures_of
from xqr_bench.measure.linear import LEVEL, detectable_difference, presence, shares
from xqr_bench.measure.panel import Panel, Units, merged, sampling_units
from xqr_bench.measure.resampling import BOOTSTRAP_RESAMPLES, RESAMPLES, bootstrap
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import Record, load_record
from xqr_bench.record.store import code_digest

BITS = 31
MOST_QUESTIONS = 10_000
"""A task of more is tested by the command alone: over the 88,877 of Tatoeba a page took minutes and a gigabyte."""
STREAMS = ("signs", "articles", "questions", "without")  # in the order in which `paired` spawns them


@dataclass
class QuestionValues:
    """The values of the rows of a board.

    Attributes:
        layouts: task -> what rows have in common that can be compared with each other (see `layout_of`).
        unlike: task -> (number of a layout, of another) -> why rows of the two cannot be compared, in words.
        rows: id of a row -> its values (see `values_of`), and under `layout` the number of its layout.
    """

    layouts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unlike: dict[str, dict[tuple[int, int], str]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _first: dict[str, list[Record]] = field(default_factory=dict)  # the first record of each layout

    def add(self, row: Row, record: Record, layout: dict[str, Any], values: dict[str, Any]) -> None:
        """Put a row with those that it can be compared with."""
        layouts, first = self.layouts.setdefault(row.task, []), self._first.setdefault(row.task, [])
        differing = [unlike(other, record) for other in first]
        fitting = [at for at, names in enumerate(differing) if not names and layouts[at] == layout]
        number = fitting[0] if fitting else len(layouts)
        if not fitting:
            why = self.unlike.setdefault(row.task, {})
            for at, names in enumerate(differing):
                parts = [f"{name} ({a}; {b})" for name, (a, b) in names.items()]
                why[at, number] = ", ".join(parts) or "the questions that have a value"
            first.append(record)
            layouts.append(layout)
        self.rows[row.id] = {**values, "layout": number}


def question_values(board: Leaderboard, leaderboard: Path | str, observe: Observer | None = None) -> QuestionValues:
    """Read the ranks of all rows, once: values are kept in the user's cache folder by the digest of the ranks.

    Tasks of more than MOST_QUESTIONS are left out.

    Args:
        board: what `read_leaderboard` made of the folder.
        leaderboard: the folder.
        observe: hears of each row.

    Raises:
        XqrBenchError: a record or its ranks cannot be read, or are not those of the row.
    """
    found, observe = QuestionValues(), observe or Observer()
    for row in board.rows:
        if board.tasks[row.task].n_questions > MOST_QUESTIONS:
            continue
        path = Path(leaderboard) / row.record
        with observe.phase(f"questions: {row.record}"):
            record = load_record(path, whole=False)
            if record.ranks_file.digest != row.ranks_digest:
                raise XqrBenchError(f"{path} has changed since the leaderboard was read", remedy="build again")
            made = _values_once(row, path)
        if made is not None:
            found.add(row, record, *made)
    return found


def _values_once(row: Row, path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Layout and values of a row, from the user's cache folder where this code found them before."""
    key = json.dumps([code_digest(), row.task, row.ranks_digest, row.protocol.settings])
    place = vector_store().folder / "questions" / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError, ValueError, TypeError):  # there is none, or a damaged one, which is made anew
        layout, values = json.loads(place.read_bytes())
        if layout["questions"] and values["digest"] == row.ranks_digest:
            return layout, values
    ranks = load_record(path, ranks=True, whole=False).ranks
    made = of_ranks(ranks, [name for name in SETTINGS if name in row.protocol.settings], row.ranks_digest)
    if made is not None:
        with suppress(OSError), atomic_path(place) as temporary:  # nothing but time is lost
            temporary.write_text(_text(made), encoding="utf-8")
    return made


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def of_ranks(ranks: Ranks, settings: Sequence[str], digest: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Layout and values of a row with these ranks; None where MAP is defined in no setting."""
    units = sampling_units(ranks)
    figures = figures_of(all_per_query(ranks, [MAIN_METRIC], settings), units, parts=(MACRO,))
    return of_figures(figures, units, digest)


def of_figures(figures: Figures, units: Units, digest: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Layout and values of one figure in each setting, a mean such as MAP; None where none is defined."""
    defined = {name: one for name, one in figures.items() if np.isfinite(one[1].apply(one[0].estimate)).all()}
    if not defined:
        return None
    kinds = _kinds(defined)
    return layout_of(defined, units, kinds), values_of(defined, kinds, digest)


@dataclass(frozen=True)
class _Kinds:
    """Kinds of questions, by the language pairs that they have values in.

    Attributes:
        first: a question of each kind, int64 `[kinds]`.
        of_question: number of the kind, int64 `[questions]`.
        redrawn: of each setting, whether all questions have one value in each language pair: the figure under
            resampled questions is then the mean of their v_i.
    """

    first: IntArray
    of_question: IntArray
    redrawn: list[bool]


def _kinds(figures: Figures) -> _Kinds:
    counts = np.hstack([panel.counts for panel, _ in figures.values()])
    _, first, of_question = np.unique(counts, axis=0, return_index=True, return_inverse=True)
    alike = [merged(*one)[0].counts for one in figures.values()]
    redrawn = [of.shape[1] == 1 and bool((of == 1).all()) for of in alike]
    return _Kinds(first.astype(np.int64), of_question.reshape(-1).astype(np.int64), redrawn)


def layout_of(figures: Figures, units: Units, kinds: _Kinds) -> dict[str, Any]:
    """What rows that can be compared have in common.

    Returns:
        `questions`, `articles`: how many; `article`, `kind`: of each question; and of each setting, `settings`,
        `present` (by kind: whether it has a value), `n` and `m` (questions and articles with one), `unit`, `redrawn`,
        `t` (quantile for an interval over articles), `detectable` (standard errors that a difference must be, by
        question and by article). `streams`: state and increment of each generator.
    """
    there = [presence(panel, contrasts)[:, 0] for panel, contrasts in figures.values()]
    n = [int(present.sum()) for present in there]
    m = [int((units.by_article(present[:, None]) > 0).sum()) for present in there]
    return {
        "questions": units.n_questions,
        "articles": units.n_articles,
        "article": _packed(units.article),
        "kind": _packed(kinds.of_question),
        "settings": [setting for setting, _ in figures],
        "present": [[int(value) for value in present[kinds.first]] for present in there],
        "n": n,
        "m": m,
        "unit": [_unit(*one, questions) for one, questions in zip(figures.values(), n, strict=True)],
        "redrawn": kinds.redrawn,
        "t": [float(special.stdtrit(max(size - 1, 1), (1 + LEVEL) / 2)) for size in m],
        "detectable": [[detectable_difference(1.0, size - 1) for size in both] for both in zip(n, m, strict=True)],
        "streams": _streams(),
        "resamples": RESAMPLES,
        "bootstrap": BOOTSTRAP_RESAMPLES,
        "level": LEVEL,
        "seed": SEED,
    }


def _streams() -> dict[str, list[str]]:
    spawned = np.random.Generator(np.random.PCG64(SEED)).spawn(len(STREAMS))
    states = {name: stream.bit_generator.state["state"] for name, stream in zip(STREAMS, spawned, strict=True)}
    return {name: [f"{state[part]:032x}" for part in ("state", "inc")] for name, state in states.items()}


def _unit(panel: Panel, contrasts: Any, n: int) -> float:
    """A power of two: no value of a question, whatever the record, is more than 2^BITS of them.

    MAP is at most 1, so that a question adds no more than its share of the values.
    """
    most = n * contrasts.apply(panel.counts / np.maximum(panel.totals, 1))[:, 0].max()
    return math.ldexp(1.0, math.ceil(math.log2(most)) - BITS)


def values_of(figures: Figures, kinds: _Kinds, digest: str) -> dict[str, Any]:
    """Of each setting `figures`, `levels` (by kind), `values` and, where they do not follow, `replicates`.

    Replicates are [unit, numbers]: figure + unit x (number - 2^BITS).
    """
    drawn: Mapping[tuple[str, str], FloatArray] = {}
    if not all(kinds.redrawn):
        stream = np.random.Generator(np.random.PCG64(SEED)).spawn(len(STREAMS))[STREAMS.index("questions")]
        drawn = dict(zip(figures, bootstrap(list(figures.values()), stream).values, strict=True))
    levels, values, replicates, estimates = [], [], [], []
    for (name, (panel, contrasts)), redrawn in zip(figures.items(), kinds.redrawn, strict=True):
        n = int(presence(panel, contrasts)[:, 0].sum())
        of_cells = np.where(panel.totals > 0, panel.totals, np.nan)
        levels.append((n * contrasts.apply(panel.counts[kinds.first] * (panel.estimate / of_cells))[:, 0]).tolist())
        values.append(np.rint(n * contrasts.apply(shares(panel))[:, 0] / _unit(panel, contrasts, n)))
        estimates.append(float(contrasts.apply(panel.estimate)[0]))
        replicates.append(None if redrawn else _replicates(drawn[name][:, 0] - estimates[-1]))
    return {
        "digest": digest,
        "figures": estimates,
        "levels": levels,
        "values": _packed(np.concatenate(values)),
        "replicates": replicates,
    }


def _replicates(offsets: FloatArray) -> list[Any] | None:
    """None where a resample has no value: there is then no interval."""
    if not np.isfinite(offsets).all():
        return None
    unit = math.ldexp(1.0, math.frexp(float(np.abs(offsets).max()))[1] - BITS + 1)
    return [unit, _packed(np.rint(offsets / unit) + 2.0**BITS)]


class QuestionFiles(NamedTuple):
    """Files of the site: path -> text.

    `places` is what the page knows of them: task -> folder, and of each entry the number of its layout, or None.
    """

    files: dict[str, str]
    places: dict[str, dict[str, Any]]


def question_files(values: QuestionValues, entries: Sequence[Entry]) -> QuestionFiles:
    """`questions/<task>.js`: layouts, and why rows of two cannot be compared. `questions/<task>/<entry>.js`: values."""
    named: dict[tuple[str, ...], str] = {(task,): task for task in values.layouts}
    files: dict[str, str] = {}
    places: dict[str, dict[str, Any]] = {}
    for (task,), stem in unique_stems(named).items():
        why = {f"{a},{b}": text for (a, b), text in values.unlike.get(task, {}).items()}
        files[f"questions/{stem}.js"] = loaded_file({"layouts": values.layouts[task], "unlike": why})
        layouts: list[int | None] = []
        for entry in entries:
            row = entry.rows.get(task)
            of_row = values.rows.get(row.id) if isinstance(row, Row) else None
            layouts.append(None if of_row is None else of_row["layout"])
            if of_row is not None:
                files[f"questions/{stem}/{entry.key}.js"] = loaded_file(of_row)
        places[task] = {"folder": stem, "layouts": layouts}
    return QuestionFiles(files, places)


def _packed(numbers: IntArray | FloatArray) -> str:
    """Whole numbers below 2^32 as base64 of little-endian uint32."""
    return base64.b64encode(np.asarray(numbers).astype("<u4").tobytes()).decode("ascii")
