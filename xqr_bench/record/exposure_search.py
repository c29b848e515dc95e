"""A search for evaluation texts in training data.

find_texts(data, texts) -> Findings       questions, sentences, paragraphs and titles found in `texts`
EvaluationTexts(data).hits(texts)         the same, text by text: what to leave out of a training set
"""

from __future__ import annotations

import io
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.files import opened
from xqr_bench.core.types import Candidate, IntArray, TaskData
from xqr_bench.record.exposure import KINDS, Findings, Match

# Text -> units: what is compared when texts are looked for in other texts.
#
# 1. NFKC, then case folding; the dot that folding leaves on a Turkish capital İ is dropped.
# 2. Arabic vowel signs, the lengthening stroke and invisible format characters are dropped.
# 3. A run of letters, combining marks and digits is a unit: a word. Everything else, underscores too, parts words.
# 4. In scripts written without spaces every character is a unit of its own that counts as a part of a word: 1/2 for Han
#    and Kana, 1/6 for Thai, Lao, Khmer and Myanmar (XQuAD-R has 1.77 Chinese and 5.67 Thai characters for each English
#    word), so that "8 words" is about as much text in every language.

WORD = 6
"""Weight of a word; weights are in sixths of a word."""
_HALF, _SIXTH = 3, 1
# Unicode blocks of scripts that are written without spaces between words, and the weight of a character
_UNSPACED = (
    (0x0E00, 0x0EFF, _SIXTH),  # Thai, Lao
    (0x1000, 0x109F, _SIXTH),  # Myanmar
    (0x1780, 0x17FF, _SIXTH),  # Khmer
    (0x3005, 0x3007, _HALF),  # Han: iteration mark, zero
    (0x3040, 0x30FF, _HALF),  # Hiragana, Katakana
    (0x3400, 0x9FFF, _HALF),  # Han
    (0xF900, 0xFAFF, _HALF),
    (0x20000, 0x3FFFF, _HALF),
)
_ARABIC_OPTIONAL = frozenset("\u0640\u0670" + "".join(map(chr, range(0x064B, 0x0653))))


class _Table(dict[int, str]):
    """What each character becomes, found when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if character in _ARABIC_OPTIONAL or category == "Cf":
            made = ""
        elif category[0] not in "LMN":
            made = " "
        elif category != "Nd" and _character_weight(code) != WORD:
            made = f" {character} "
        else:
            made = character
        self[code] = made
        return made


_TABLE = _Table()


def _character_weight(code: int) -> int:
    return next((weight for first, last, weight in _UNSPACED if first <= code <= last), WORD)


def units(text: str) -> list[str]:
    """The units of a text, in order."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i")
    return folded.translate(_TABLE).split()


def weight(unit: str) -> int:
    """How much of a word a unit is, in sixths."""
    return _character_weight(ord(unit)) if len(unit) == 1 and not unit.isdecimal() else WORD


# Runs of units that stand both in an evaluation task and in a stream of texts, found by hashes and then compared.
#
# The texts of a task are few, so every run of 8 words of them is kept: an exact index. MinHash would estimate the same
# overlap for sets too large to keep; there is no need to estimate here.

GRAM = 8 * WORD
"""Weight of a gram: 8 words."""
BREAK = 0
"""Stands for every unit that no text of the task has, and between texts."""
_Words = NDArray[np.uint64]


class Stream:
    """Units of one or more texts in a row, with the hash of any run of them.

    The hash of the run [i, j) is the sum of value(unit_k) B^(k-i) modulo 2^64, from prefix sums (Rabin & Karp 1987);
    who finds two hashes equal compares the runs themselves.

    Args:
        numbers: int64 `[units]`, with a BREAK between texts.
        weights: of each unit.
    """

    _BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64

    def __init__(self, numbers: IntArray, weights: IntArray) -> None:
        self.numbers = numbers
        n = len(numbers)
        self.mass = np.append(0, np.cumsum(weights))
        self._breaks = np.append(0, np.cumsum(numbers == BREAK))
        powers, self._inverse = (_powers(base, n) for base in (self._BASE, pow(self._BASE, -1, 2**64)))
        self._sums = np.append(np.uint64(0), np.cumsum(_scatter(numbers) * powers))

    def grams(self) -> tuple[IntArray, IntArray]:
        """Start and end of the shortest run of at least GRAM weight from each unit on, where none is unknown."""
        starts = np.arange(len(self.numbers))
        ends = np.searchsorted(self.mass, self.mass[:-1] + GRAM, side="left")
        return self._unbroken(starts, ends)

    def runs(self, length: int) -> tuple[IntArray, IntArray]:
        """Start and end of all runs of so many units, none of them unknown."""
        starts = np.arange(max(len(self.numbers) - length + 1, 0))
        return self._unbroken(starts, starts + length)

    def _unbroken(self, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        inside = ends <= len(self.numbers)
        starts, ends = starts[inside], ends[inside]
        whole = self._breaks[ends] == self._breaks[starts]
        return starts[whole], ends[whole]

    def hashes(self, starts: IntArray, ends: IntArray) -> _Words:
        """Hash of each run, uint64 `[runs]`."""
        return np.asarray((self._sums[ends] - self._sums[starts]) * self._inverse[starts])


class Runs:
    """Runs of a stream, with the items that each stands in; finds those that stand in another stream too.

    Args:
        stream: where they stand.
        starts, ends: int64 `[runs]`; equal runs are one.
        items: number of the item that each stands in.

    Attributes:
        lengths: of the runs, each once.
        items: of each distinct run, each once.
    """

    def __init__(self, stream: Stream, starts: IntArray, ends: IntArray, items: IntArray) -> None:
        self._stream = stream
        self._hashes, first, run = np.unique(stream.hashes(starts, ends), return_index=True, return_inverse=True)
        self._starts, self._lengths = starts[first], (ends - starts)[first]
        self.lengths: list[int] = np.unique(self._lengths).tolist()
        pairs = np.unique(np.column_stack([run, items]), axis=0)
        self.items: IntArray = pairs[:, 1]
        self._edges = np.searchsorted(pairs[:, 0], np.arange(len(first) + 1))

    def among(self, stream: Stream, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Those of the stream's runs that are one of these, for each item of it: start, number of the run, item."""
        if not len(self._hashes):
            return starts[:0], starts[:0], starts[:0]
        hashes = stream.hashes(starts, ends)
        run = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        likely = np.flatnonzero((self._hashes[run] == hashes) & (self._lengths[run] == ends - starts))
        likely = likely[self._same(stream, starts[likely], run[likely])]
        starts, run = starts[likely], run[likely]
        first, counts = self._edges[run], self._edges[run + 1] - self._edges[run]
        which = np.repeat(np.arange(len(run)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return starts[which], run[which], self.items[first[which] + within]

    def _same(self, stream: Stream, starts: IntArray, run: IntArray) -> NDArray[np.bool_]:
        """Whether the runs themselves are equal, and not only their hashes."""
        same = np.ones(len(starts), dtype=bool)
        lengths = self._lengths[run]
        for k in range(int(lengths.max(initial=0))):
            inside = np.flatnonzero(lengths > k)
            mine = self._stream.numbers[self._starts[run[inside]] + k]
            same[inside] &= stream.numbers[starts[inside] + k] == mine
        return same


def _powers(base: int, n: int) -> _Words:
    """1, base, base^2 ... modulo 2^64, uint64 `[n]`."""
    factors = np.full(n, base, dtype=np.uint64)
    if n:
        factors[0] = 1
    return np.multiply.accumulate(factors)


def _scatter(numbers: IntArray) -> _Words:
    """Values that differ in all bits for numbers that differ in one (the finaliser of splitmix64)."""
    x = numbers.astype(np.uint64) + np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


# Evaluation texts found in other texts: the same, nearly the same, or with a run of 8 words in common.

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
        text: the evaluation text.
        exact: the whole of it stands there, after normalisation (of a title: it is the whole of the text).
        overlap: share of its grams that stand there, in 0 .. 1; 1 for an exact hit.
    """

    kind: str
    members: tuple[tuple[str, str], ...]
    text: str
    exact: bool
    overlap: float


class _Item(NamedTuple):
    kind: str
    units: bytes
    text: str
    members: list[tuple[str, str]]


class EvaluationTexts:
    """The questions, sentences, paragraphs and titles of a task, indexed to be found in other texts.

    A gram is the shortest run of units that weighs at least 8 words. A text is found exactly where all of its units
    stand in a row, and partly where some of its grams do. Texts below 4 words, and titles, are found only where they
    are the whole of a text. Empty ones are left out.

    Args:
        data: the task, in whatever languages are to be looked for.
    """

    def __init__(self, data: TaskData) -> None:
        named = list(_texts_of_task(data))
        self._numbers: dict[str, int] = {}  # of each unit, from 1
        for *_, text in named:
            for unit in units(text):
                self._numbers.setdefault(unit, len(self._numbers) + 1)
        self._weights = np.array([WORD, *map(weight, self._numbers)], dtype=np.int64)
        distinct: dict[tuple[str, bytes], _Item] = {}
        for kind, language, name, text in named:
            if packed := self._packed(text):
                item = distinct.setdefault((kind, packed), _Item(kind, packed, text, []))
                item.members.append((language, name))
        self.items = tuple(distinct.values())
        stream, edges = self._stream([item.units for item in self.items])
        lengths = np.diff(edges) - 1
        weighs = stream.mass[edges[:-1] + lengths] - stream.mass[edges[:-1]]
        whole_only = np.array([item.kind == "title" for item in self.items], dtype=bool) | (weighs < LEAST)
        self._whole: defaultdict[bytes, list[int]] = defaultdict(list)
        for number in np.flatnonzero(whole_only).tolist():
            self._whole[self.items[number].units].append(number)
        short = np.flatnonzero(~whole_only & (weighs < GRAM))
        self._short = Runs(stream, edges[short], edges[short] + lengths[short], short)
        starts, ends = stream.grams()
        owner = np.searchsorted(edges, starts, side="right") - 1
        partly = ~whole_only[owner]
        self._grams = Runs(stream, starts[partly], ends[partly], owner[partly])
        # distinct grams of each item; none: it is too short
        self._n_grams = np.bincount(self._grams.items, minlength=len(self.items)).tolist()

    def _packed(self, text: str) -> bytes:
        """The units of a text by number."""
        return np.array([self._numbers.get(unit, BREAK) for unit in units(text)], dtype=_PACKED).tobytes()

    def _stream(self, texts: Sequence[bytes]) -> tuple[Stream, IntArray]:
        """Texts in a row, and where each begins, int64 `[texts + 1]`."""
        gap = np.array([BREAK], dtype=_PACKED).tobytes()
        numbers = np.frombuffer(gap.join([*texts, b""]), dtype=_PACKED).astype(np.int64)
        edges = np.cumsum([0, *(len(text) // _PACKED.itemsize + 1 for text in texts)], dtype=np.int64)
        return Stream(numbers, self._weights[numbers]), edges

    def hits(self, texts: Iterable[str]) -> Iterator[list[Hit]]:
        """What stands in each of the texts, in their order.

        Args:
            texts: each is looked at by itself; a run does not go on from one to the next.
        """
        block: list[bytes] = []
        size = 0
        for text in texts:
            block.append(self._packed(text))
            size += len(block[-1])
            if size >= BLOCK * _PACKED.itemsize:
                yield from self._hits_of(block)
                block, size = [], 0
        yield from self._hits_of(block)

    def _hits_of(self, block: Sequence[bytes]) -> Iterator[list[Hit]]:
        stream, edges = self._stream(block)
        of_text: list[dict[int, tuple[bool, float]]] = [{} for _ in block]  # item -> exact, overlap

        def texts_of(starts: IntArray) -> IntArray:
            return np.searchsorted(edges, starts, side="right") - 1

        starts, gram, items = self._grams.among(stream, *stream.grams())
        # each gram of an item counts once in a text
        met = np.unique(np.column_stack([texts_of(starts), items, gram]), axis=0)
        pairs, counts = np.unique(met[:, :2], axis=0, return_counts=True)
        for (text, item), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            exact = count == self._n_grams[item] and _contains(block[text], self.items[item].units)
            of_text[text][item] = (exact, count / self._n_grams[item])
        for length in self._short.lengths:
            starts, _, items = self._short.among(stream, *stream.runs(length))
            for text, item in zip(texts_of(starts).tolist(), items.tolist(), strict=True):
                of_text[text][item] = (True, 1.0)
        for text, packed in enumerate(block):
            of_text[text] |= dict.fromkeys(self._whole.get(packed, ()), (True, 1.0))
        for hits in of_text:
            named = ((self.items[number], how) for number, how in sorted(hits.items()))
            yield [Hit(item.kind, tuple(item.members), item.text, *how) for item, how in named]


@checked
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
    if not 0 < near <= 1:
        raise UsageError(f"the overlap {near} is no share", remedy="give more than 0 and at most 1, such as 0.5")
    task = EvaluationTexts(data)
    best: dict[tuple[str, str, str], Match] = {}
    waiting: deque[Placed] = deque()  # only what is still to be looked at is kept

    def plain() -> Iterator[str]:
        for number, text in enumerate(texts):
            waiting.append(text if isinstance(text, Placed) else Placed(text, f"text {number}"))
            yield waiting[-1].text

    n_texts = 0
    for hits in task.hits(plain()):
        n_texts += 1
        text, place = waiting.popleft()
        for hit in hits:
            for language, name in hit.members:
                before = best.get((hit.kind, language, name))
                if before is None or (hit.exact, hit.overlap) > (before.exact, before.overlap):
                    match = Match(hit.kind, language, name, hit.exact, hit.overlap, place, hit.text, text)
                    best[hit.kind, language, name] = match
    totals = {kind: dict.fromkeys(data.all_languages, 0) for kind in KINDS}
    for item in task.items:
        for language, _ in item.members:
            totals[item.kind][language] += 1
    return Findings(
        task=data.name,
        languages=data.all_languages,
        n_texts=n_texts,
        near=near,
        totals=totals,
        found=tuple(best[key] for key in sorted(best, key=lambda key: (KINDS.index(key[0]), key[1:]))),
    )


def _texts_of_task(data: TaskData) -> Iterator[tuple[str, str, str, str]]:
    """(kind, language, id, text) of everything."""
    for query in data.queries:
        yield "question", query.language, query.question, query.text
    groups: dict[str, Candidate] = {}
    for candidate in data.candidates:
        yield "sentence", candidate.language, candidate.id, candidate.text
        if candidate.context:
            groups.setdefault(candidate.unit, candidate)
    for name, member in groups.items():
        yield "paragraph", member.language, name, member.context
    for name, text in data.titles.items():
        yield "title", name.partition(":")[0], name, text


def _contains(text: bytes, run: bytes) -> bool:
    """Whether the units of `run` stand in a row in `text`."""
    place = text.find(run)
    while place >= 0 and place % _PACKED.itemsize:
        place = text.find(run, place + 1)
    return place >= 0


# Training data on disk -> texts with their places.

FORMATS = (".txt", ".tsv", ".jsonl", ".json", ".parquet")
_LONGEST_LIST = 2**16  # in the footer of a Parquet file: its columns and row groups, told before they are there


@checked
def read_texts(paths: Sequence[Path]) -> Iterator[Placed]:
    """Every text of the files, each with `file:line` (of Parquet: `file:row`).

    Lines of .txt, fields of .tsv, every string in the values of .jsonl and .json, every string of .parquet; all but
    Parquet also with .gz. A folder stands for all such files in it.

    Raises:
        DataError: a file is missing, cannot be read, or has another ending; a folder has none of them.
    """
    for path in paths:
        for file in _files(path):
            try:
                for number, texts in _texts_by_row(file):
                    place = f"{file.name}:{number}" if number else file.name
                    yield from (Placed(text, place) for text in texts)
            except (OSError, ValueError) as error:
                raise DataError(f"{file} cannot be read: {error}", remedy="correct it, or leave it out") from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and _format(file) in FORMATS)
        if not files:
            raise DataError(f"{path} holds no text files", remedy=f"they end in {', '.join(FORMATS)}")
        return files
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="name the files of the training data")
    if _format(path) not in FORMATS:
        raise DataError(
            f"{path} is of no kind that can be searched", remedy=f"give files that end in {', '.join(FORMATS)} (or .gz)"
        )
    return [path]


def _format(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _texts_by_row(path: Path) -> Iterator[tuple[int, Iterable[str]]]:
    """The texts of each line or row, numbered from 1; of JSON all under 0."""
    kind = _format(path)
    if kind == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            schema = pq.ParquetFile(path, thrift_container_size_limit=_LONGEST_LIST).schema
            texts = [column.path for column in map(schema.column, range(len(schema))) if "BYTE" in column.physical_type]
            # as dictionaries, or a value that is written once and stands in every row would be unpacked for each
            file = pq.ParquetFile(
                path, read_dictionary=texts, pre_buffer=False, thrift_container_size_limit=_LONGEST_LIST
            )
            batches = file.iter_batches(batch_size=1000, columns=texts, use_threads=False)
            for row, values in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), start=1):
                yield row, _strings(values)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        return
    with opened(path) as stream, io.TextIOWrapper(stream, encoding="utf-8") as lines:
        if kind == ".json":
            yield 0, _strings(strict_json.parse(lines.read()))
            return
        for number, line in enumerate(lines, start=1):
            if kind == ".jsonl":
                yield number, _strings(strict_json.parse(line)) if line.strip() else ()
            else:
                yield number, line.rstrip("\n").split("\t" if kind == ".tsv" else "\n")


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _strings(child)
