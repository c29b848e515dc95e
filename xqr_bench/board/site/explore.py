"""Single questions: where each encoder put the candidates that answer one, and what it put on top.

The page holds no ranks. Its files are read when they are asked for:

- `explore/<task>.js` lists the questions of a task (40 KB for XQuAD-R);
- `explore/<task>/<number>.js` holds, of some questions, the ranks of all encoders, and what stood on top where a row
  has that; candidates are numbers in it;
- `explore/<task>/candidates-<number>.js` holds the ids of 256 candidates, and their texts where the site has texts;
- `explore/<task>/<language>.js`, where the site has texts, holds the questions as they are asked in a language.

All but the first are packed by zlib.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.board.facts import find_task
from xqr_bench.board.model import Leaderboard, Row
from xqr_bench.board.site.build import MorePage
from xqr_bench.board.site.html import asset, render, unique_stems
from xqr_bench.board.site.payload import Entry, embedded_json, loaded_file, make_entries, page_data
from xqr_bench.core.errors import DataError, XqrBenchError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.record import load_record
from xqr_bench.record.top_file import TopCandidates
from xqr_bench.tasks import TaskSpec, load_task
from xqr_bench.tasks.sources import locate

FILE, TITLE, FOLDER = "explore.html", "Questions", "explore"
MOST_QUESTIONS = 5000
"""A task of more is left out: the list of its questions alone would take megabytes."""
_SLICE = 2**18
"""Characters of a file of questions before it is packed, about: a file has at least one question."""
_CANDIDATES = 256
"""So many in a file: those of one article, in most cases, so that a question needs few files."""
_FREE = re.compile(r"CC0|CC BY(-SA)? \d|Apache-2\.0|MIT", re.ASCII)


def may_be_shown(spec: TaskSpec, *, noncommercial: bool) -> bool:
    """Whether the licence of a task lets its texts be shown to anybody, with its name beside them.

    Args:
        spec: the task.
        noncommercial: whether the page is not for commercial use.
    """
    name = "" if spec.licence is None else spec.licence.name
    return bool(_FREE.match(name)) or (noncommercial and bool(re.match(r"CC BY-NC(-SA)? \d", name)))


def texts_at_hand(
    board: Leaderboard, data_dir: Path | None, *, noncommercial: bool, observe: Observer | None = None
) -> dict[str, TaskData]:
    """The texts of the board's tasks that may be shown; nothing is downloaded.

    Args:
        board: the leaderboard.
        data_dir: the folder with the data files; None: XQR_BENCH_DATA, else the cache.
        noncommercial: as of `may_be_shown`.
        observe: is told of each task whose texts are left out, and why.

    Raises:
        DataError: files are there, and are not those of the task.
    """
    observe, found = observe or Observer(), {}
    for name, task in board.tasks.items():
        spec = find_task(name)
        if task.n_questions > MOST_QUESTIONS:
            continue
        if not may_be_shown(spec, noncommercial=noncommercial):
            licence = "none is stated" if spec.licence is None else spec.licence.name
            more = "" if noncommercial else "; --noncommercial admits those without commercial use"
            observe.note(f"{name}: its texts are left out for their licence ({licence}){more}")
        elif missing := [key for key in spec.files if not locate(spec, key, data_dir).present]:
            observe.note(f"{name}: its texts are left out, for they are not here (no file of {missing[0]})")
        else:
            found[name] = load_task(spec, data_dir=data_dir, observe=observe)
    return found


def explorer(
    board: Leaderboard,
    leaderboard: Path | str,
    texts: Mapping[str, TaskData] | None = None,
    observe: Observer | None = None,
) -> MorePage | None:
    """The page of single questions, with its files; None where no row has ranks of a task that is small enough.

    Args:
        board: what `read_leaderboard` made of the folder.
        leaderboard: the folder.
        texts: task -> its texts.
        observe: hears of each row.

    Raises:
        XqrBenchError: a record or its ranks cannot be read, or are not those of the row.
    """
    entries, texts = make_entries(board), texts or {}
    with_rows = [name for name in board.tasks if any(isinstance(entry.rows.get(name), Row) for entry in entries)]
    shown = [name for name in with_rows if board.tasks[name].n_questions <= MOST_QUESTIONS]
    if not shown:
        return None
    files: dict[str, str] = {}
    places = []
    named: dict[tuple[str, ...], str] = {(name,): name for name in shown}
    for (name,), stem in unique_stems(named).items():
        data = texts.get(name)
        ranked = _Ranked.read(name, entries, Path(leaderboard), observe or Observer(), data)
        files |= {f"{FOLDER}/{stem}{path}": text for path, text in _files(ranked, data)}
        spec = find_task(name)
        places.append(
            {
                "task": name,
                "folder": f"{FOLDER}/{stem}",
                "texts": data is not None,
                "licence": None if spec.licence is None else [spec.licence.name, spec.licence.url],
                "citation": spec.citation.strip() if data is not None else None,
            }
        )
    left_out = [board.tasks[name].title for name in with_rows if name not in shown]

    def make(common: dict[str, Any]) -> str:
        return render(
            "explore.html.jinja",
            script=asset("common.js") + asset("address.js") + asset("explore.js"),
            loads=True,
            data=embedded_json({**page_data(board, entries), "explored": places}),
            left_out=left_out,
            most=MOST_QUESTIONS,
            with_texts=bool(texts),
            **common,
        )

    return MorePage(FILE, TITLE, make, files=files)


@dataclass
class _Ranked:
    """The ranks of all rows of a task.

    Attributes:
        ranks: of one of them; what is asked and what answers it is the same in all.
        entries: places of the rows among the entries of the page.
        ids: of candidates: all that answer a question, and all that stood on top.
        relevants: which of them each relevant is, int64 `[relevants]`.
        pool, own: of each row, twice the rank of each relevant among all candidates and among those of its language,
            int64 `[relevants]`: the mean over all orders of candidates with equal scores is a whole number or a half;
            -1: none.
        tops: of each row, which candidates stood on top, int64 `[queries, k]`, and their scores; None: not kept.
    """

    ranks: Ranks
    entries: list[int] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    relevants: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    pool: list[IntArray] = field(default_factory=list)
    own: list[IntArray] = field(default_factory=list)
    tops: list[tuple[IntArray, NDArray[np.float32]] | None] = field(default_factory=list)

    @classmethod
    def read(
        cls, task: str, entries: Sequence[Entry], folder: Path, observe: Observer, data: TaskData | None
    ) -> _Ranked:
        """Read the rows; `data`: the task's texts, which must be those of the ranks."""
        made: _Ranked | None = None
        for at, entry in enumerate(entries):
            row = entry.rows.get(task)
            if not isinstance(row, Row):
                continue
            path = folder / row.record
            with observe.phase(f"questions of {row.record}"):
                record = load_record(path, ranks=True, whole=False)
                if record.ranks_file.digest != row.ranks_digest:
                    raise XqrBenchError(f"{path} has changed since the leaderboard was read", remedy="build again")
                if made is None:
                    made = cls(record.ranks)
                    made.relevants = made._numbers(list(record.ranks.relevant_ids))
                    made._check_data(data)
                made._add(at, record.ranks, record.find_top())
        assert made is not None, "a task with a row"
        made._number_by_place()
        return made

    def _number_by_place(self) -> None:
        """Number the candidates by what stands behind the language in their ids: translations stand together."""
        names = sorted(self.ids, key=lambda name: (_natural(name.partition(":")[2]), name))
        changed = np.full(len(names) + 1, -1, dtype=np.int64)
        changed[[self.ids[name] for name in names]] = np.arange(len(names))
        self.ids = {name: number for number, name in enumerate(names)}
        self.relevants = changed[self.relevants]
        self.tops = [None if top is None else (changed[top[0]], top[1]) for top in self.tops]

    def _check_data(self, data: TaskData | None) -> None:
        if data is not None:
            asked = [f"{query.language}:{query.question}" for query in data.queries]
            known = {candidate.id for candidate in data.candidates}
            if asked != self.ranks.query_ids or not known.issuperset(self.ids):
                raise DataError(f"the texts of {data.name} are not those of its rows", remedy="update xqr-bench")

    def _numbers(self, ids: Sequence[str]) -> IntArray:
        return np.array([self.ids.setdefault(name, len(self.ids)) for name in ids], dtype=np.int64)

    def _add(self, at: int, ranks: Ranks, top: TopCandidates | None) -> None:
        gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in ranks.counts)
        self.entries.append(at)
        self.pool.append(np.where((gt < 0) | ranks.separate, -1, 2 * gt + eq + 1))
        self.own.append(np.where(own_gt < 0, -1, 2 * own_gt + own_eq + 1))
        if top is None:
            self.tops.append(None)
        else:
            used = np.flatnonzero(np.bincount(top.places[top.places >= 0]))
            of_ids = np.full(len(top.ids) + 1, -1, dtype=np.int64)
            of_ids[used] = self._numbers([top.ids[place] for place in used.tolist()])
            self.tops.append((of_ids[top.places], top.scores))


def _files(ranked: _Ranked, data: TaskData | None) -> Iterator[tuple[str, str]]:
    """The files of a task: the rest of the path, and text."""
    ranks = ranked.ranks
    of_question: dict[str, list[int]] = {}
    for query, question in enumerate(ranks.question_ids):
        of_question.setdefault(question, []).append(query)
    articles = {question: int(ranks.articles[of[0]]) for question, of in of_question.items()}
    questions = sorted(of_question, key=articles.__getitem__)  # stable: in the order of the task within an article
    names = list(ranked.ids)
    texts = {} if data is None else {candidate.id: candidate.text for candidate in data.candidates}
    for number, start in enumerate(range(0, len(names), _CANDIDATES)):
        ids = names[start : start + _CANDIDATES]
        candidates = [[name, texts[name]] if name in texts else [name] for name in ids]
        yield f"/candidates-{number}.js", _packed(json.dumps(candidates, ensure_ascii=False, separators=(",", ":")))
    starts, parts = [0], list[str]()
    for number, question in enumerate(questions):
        text = _question(ranked, of_question[question])
        if parts and sum(map(len, parts)) + len(text) > _SLICE:
            yield f"/{starts[-1]}.js", _packed(f"[{','.join(parts)}]")
            starts.append(number)
            parts = []
        parts.append(text)
    yield f"/{starts[-1]}.js", _packed(f"[{','.join(parts)}]")
    index = {
        "entries": ranked.entries,
        "questions": questions,
        "articles": [articles[question] for question in questions],
        "titles": {} if data is None else _titles(ranks, data),
        "starts": starts,
        "candidates": _CANDIDATES,
    }
    yield ".js", loaded_file(index)
    for code in ranks.all_languages if data is not None else ():
        asked = {query.question: query.text for query in data.queries if query.language == code}  # type: ignore[union-attr]
        if asked:
            in_order = [asked.get(question) for question in questions]
            yield f"/{code}.js", _packed(json.dumps(in_order, ensure_ascii=False, separators=(",", ":")))


def _titles(ranks: Ranks, data: TaskData) -> dict[int, str]:
    """Number of an article -> its title, the English one where it has that."""
    clusters: dict[int, set[str]] = {}
    for article, relevants in zip(ranks.articles.tolist(), data.relevants, strict=True):
        clusters.setdefault(article, set()).update(data.candidates[one].cluster for one in relevants)
    titled = {article: named.intersection(data.titles) for article, named in sorted(clusters.items())}
    return {
        article: data.titles[min(named, key=lambda one: (not one.startswith("en:"), one))]
        for article, named in titled.items()
        if named
    }


def _natural(text: str) -> list[tuple[int, str]]:
    """Numbers in a text by their size."""
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in re.split(r"(\d+)", text)]


def _question(ranked: _Ranked, queries: Sequence[int]) -> str:
    """A question as JSON.

    `languages` it is asked in, `relevants` of each, and of each row, `rows`: ranks in the pool and in the own language
    of each relevant, and of each language the candidates on top and their scores.
    """
    ranks = ranked.ranks
    spans = [slice(ranks.offsets[query], ranks.offsets[query + 1]) for query in queries]
    relevants = [ranked.relevants[span].tolist() for span in spans]
    rows: list[list[Any]] = []
    for pool, own, top in zip(ranked.pool, ranked.own, ranked.tops, strict=True):
        found = None
        if top is not None:
            places, scores = top
            found = []
            for query in queries:
                n = int((places[query] >= 0).sum())
                found.append(
                    [places[query, :n].tolist(), [float(f"{score:.4g}") for score in scores[query, :n].tolist()]]
                )
        rows.append([[pool[span].tolist() for span in spans], [own[span].tolist() for span in spans], found])
    languages = [ranks.query_languages[query] for query in queries]
    question = {"languages": languages, "relevants": relevants, "rows": rows}
    return json.dumps(question, separators=(",", ":"), allow_nan=False)


def _packed(text: str) -> str:
    """A file of the site that holds JSON text, packed."""
    return loaded_file({"deflate": base64.b64encode(zlib.compress(text.encode(), 6)).decode("ascii")})
