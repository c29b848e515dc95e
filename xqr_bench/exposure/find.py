"""Evaluation texts found in other texts: the same, nearly the same, or with a run of 8 words in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.exposure.findings import KINDS, Findings, Found
from xqr_bench.exposure.grams import BREAK, GRAM, RunSet, Stream, Vocabulary
from xqr_bench.exposure.units import WORD
from xqr_bench.types import IntArray, TaskData

NEAR = 0.5
"""Share of a text's grams that make another text nearly the same."""
LEAST = 4 * WORD
"""A shorter text counts only where it is the whole of a text: three words in a row prove nothing."""
BLOCK = 500_000
"""Units looked at in one go."""
_PACKED = np.dtype("<u4")


class Placed(NamedTuple):
    """A text to search, and how messages call its place."""

    text: str
    place: str


class Hit(NamedTuple):
    """An evaluation text that stands, wholly or in part, in a text.

    Attributes:
        kind: question, sentence, paragraph or title.
        members: (language, id) of those that have this text; translations may share it.
        exact: the whole of it stands there, after normalisation (of a title: it is the whole of the text).
        overlap: share of its grams that stand there, in 0 .. 1; 1 for an exact hit.
    """

    kind: str
    members: tuple[tuple[str, str], ...]
    exact: bool
    overlap: float


@dataclass(frozen=True)
class _Item:
    kind: str
    units: bytes
    text: str
    members: list[tuple[str, str]]


class EvaluationTexts:
    """The questions, sentences, paragraphs and titles of a task, indexed to be found in other texts.

    A gram is the shortest run of units that weighs at least 8 words (`xqr_bench.exposure.units`). A text is
    found exactly where all of its units stand in a row, and partly where some of its grams do. Texts below 4 words,
    and titles, are found only where they are the whole of a text. Empty ones are left out.

    Args:
        data: the task, in whatever languages are to be looked for.
    """

    def __init__(self, data: TaskData) -> None:
        self.data = data
        named = list(_texts(data))
        self._vocabulary = Vocabulary(text for *_, text in named)
        distinct: dict[tuple[str, bytes], _Item] = {}
        for kind, language, name, text in named:
            units = _packed(self._vocabulary.numbers(text))
            if units:
                item = distinct.setdefault((kind, units), _Item(kind, units, text, []))
                item.members.append((language, name))
        self.items = tuple(distinct.values())
        self._index()

    def _index(self) -> None:
        stream, edges = self._stream([item.units for item in self.items])
        lengths = np.diff(edges) - 1
        weighs = stream.mass[edges[:-1] + lengths] - stream.mass[edges[:-1]]
        whole_only = np.array([item.kind == "title" for item in self.items], dtype=bool) | (weighs < LEAST)
        short = np.flatnonzero(~whole_only & (weighs < GRAM))
        self._whole: defaultdict[bytes, list[int]] = defaultdict(list)
        for number in np.flatnonzero(whole_only):
            self._whole[self.items[number].units].append(int(number))

        self._short = RunSet(stream, edges[short], edges[short] + lengths[short])
        self._of_short = _Postings(self._short.number, short)

        starts, ends = stream.grams()
        owner = np.searchsorted(edges, starts, side="right") - 1
        kept = ~whole_only[owner]
        self._grams = RunSet(stream, starts[kept], ends[kept])
        self._of_gram = _Postings(self._grams.number, owner[kept])
        # distinct grams of each item; none: it is too short
        self._n_grams = np.bincount(self._of_gram.items, minlength=len(self.items))

    def _stream(self, texts: Sequence[bytes]) -> tuple[Stream, IntArray]:
        """Texts in a row, and where each begins, int64 `[texts + 1]`."""
        gap = _packed([BREAK])
        numbers = np.frombuffer(gap.join([*texts, b""]), dtype=_PACKED).astype(np.int64)
        edges = np.cumsum([0, *(len(text) // _PACKED.itemsize + 1 for text in texts)], dtype=np.int64)
        return Stream(numbers, self._vocabulary.weights(numbers)), edges

    def hits(self, texts: Iterable[str]) -> Iterator[list[Hit]]:
        """What stands in each of the texts, in their order.

        Args:
            texts: each is looked at by itself; a run does not go on from one to the next.
        """
        block: list[bytes] = []
        size = 0
        for text in texts:
            block.append(_packed(self._vocabulary.numbers(text)))
            size += len(block[-1])
            if size >= BLOCK * _PACKED.itemsize:
                yield from self._hits_of(block)
                block, size = [], 0
        yield from self._hits_of(block)

    def _hits_of(self, block: Sequence[bytes]) -> list[list[Hit]]:
        stream, edges = self._stream(block)
        width = max(len(self.items), 1)
        found: list[dict[int, Hit]] = [{} for _ in block]

        def add(text: int, number: int, exact: bool, overlap: float) -> None:
            item = self.items[number]
            found[text][number] = Hit(item.kind, tuple(item.members), exact, overlap)

        def texts_of(starts: IntArray) -> IntArray:
            return np.searchsorted(edges, starts, side="right") - 1

        starts, ends = stream.grams()
        which, gram = self._grams.among(stream, starts, ends)
        of_hit, items = self._of_gram.expand(gram)
        # each gram of an item counts once in a text
        met = np.unique(np.column_stack([texts_of(starts[which])[of_hit] * width + items, gram[of_hit]]), axis=0)
        keys, counts = np.unique(met[:, 0], return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            text, number = divmod(key, width)
            n = int(self._n_grams[number])
            add(text, number, count == n and _contains(block[text], self.items[number].units), count / n)
        for length in self._short.lengths:
            starts, ends = stream.runs(length)
            which, run = self._short.among(stream, starts, ends)
            of_hit, items = self._of_short.expand(run)
            for text, number in zip(texts_of(starts[which])[of_hit].tolist(), items.tolist(), strict=True):
                add(text, number, True, 1.0)
        for text, units in enumerate(block):
            for number in self._whole.get(units, ()):
                add(text, number, True, 1.0)
        return [[hit for _, hit in sorted(of_text.items())] for of_text in found]

    def find(self, texts: Iterable[str | Placed], *, near: float = NEAR) -> Findings:
        """Find the task in texts, as `find_texts` does."""
        if not 0 < near <= 1:
            raise UsageError(f"the overlap {near} is no share", remedy="give more than 0 and at most 1, such as 0.5")
        best: dict[tuple[str, str, str], Found] = {}
        places: list[Placed] = []

        def plain() -> Iterator[str]:
            for number, text in enumerate(texts):
                places.append(text if isinstance(text, Placed) else Placed(text, f"text {number}"))
                yield places[-1].text

        n_texts = 0
        for n_texts, hits in enumerate(self.hits(plain()), start=1):
            text, place = places[n_texts - 1]
            places[n_texts - 1] = Placed("", "")  # only what is still to be looked at is kept
            for hit in hits:
                for language, name in hit.members:
                    found = Found(hit.kind, language, name, hit.exact, hit.overlap, place, text)
                    before = best.get(found[:3])
                    if before is None or (found.exact, found.overlap) > (before.exact, before.overlap):
                        best[found[:3]] = found
        totals = {kind: dict.fromkeys(self.data.languages, 0) for kind in KINDS}
        texts_of = {}
        for item in self.items:
            for language, name in item.members:
                totals[item.kind][language] += 1
                if (item.kind, language, name) in best:
                    texts_of[item.kind, language, name] = item.text
        order = sorted(best, key=lambda key: (KINDS.index(key[0]), key[1:]))
        return Findings(
            task=self.data.name,
            languages=self.data.languages,
            n_texts=n_texts,
            near=near,
            totals=totals,
            found=tuple(best[key] for key in order),
            texts={key: texts_of[key] for key in order},
        )


def find_texts(data: TaskData, texts: Iterable[str | Placed], *, near: float = NEAR) -> Findings:
    """Find the evaluation texts of a task in other texts, such as training data.

    Args:
        data: the task, in the languages to look for.
        texts: read once, in order; `Placed` texts are called by their place, others by their number from 0.
        near: from which overlap on a text counts as nearly the same.

    Returns:
        for each evaluation text that was found at all, the best of its places.

    Raises:
        UsageError: `near` is no share.
    """
    return EvaluationTexts(data).find(texts, near=near)


def _texts(data: TaskData) -> Iterator[tuple[str, str, str, str]]:
    """(kind, language, id, text) of everything."""
    for query in data.queries:
        yield "question", query.language, query.question, query.text
    paragraphs: dict[str, str] = {}
    for candidate in data.candidates:
        yield "sentence", candidate.language, candidate.id, candidate.text
        if candidate.paragraph:
            paragraphs.setdefault(candidate.id.rpartition(":")[0], candidate.paragraph)
    for name, text in paragraphs.items():
        yield "paragraph", name.partition(":")[0], name, text
    for name, text in data.titles.items():
        yield "title", name.partition(":")[0], name, text


class _Postings:
    """Run -> the items it stands in, each once."""

    def __init__(self, runs: IntArray, items: IntArray) -> None:
        pairs = np.unique(np.column_stack([runs, items]), axis=0)
        self.items: IntArray = pairs[:, 1]
        n_runs = int(runs.max(initial=-1)) + 1
        self._edges = np.searchsorted(pairs[:, 0], np.arange(n_runs + 1))

    def expand(self, runs: IntArray) -> tuple[IntArray, IntArray]:
        """For each of the runs all its items: which of the given runs, and the item."""
        if not len(runs):
            return runs, runs
        first, counts = self._edges[runs], self._edges[runs + 1] - self._edges[runs]
        which = np.repeat(np.arange(len(runs)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.items[first[which] + within]


def _packed(numbers: Sequence[int]) -> bytes:
    return np.array(numbers, dtype=_PACKED).tobytes()


def _contains(text: bytes, run: bytes) -> bool:
    """Whether the units of `run` stand in a row in `text`."""
    place = text.find(run)
    while place >= 0 and place % _PACKED.itemsize:
        place = text.find(run, place + 1)
    return place >= 0
