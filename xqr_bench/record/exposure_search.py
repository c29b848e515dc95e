"""A search for evaluation texts in training data.

find_texts(data, texts) -> Findings       questions, sentences, paragraphs and titles found in `texts`
EvaluationTexts(data).hits(texts)         the same, text by text: what to leave out of a training set
"""

from __future__ import annotations

import gzip
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.types import Candidate, IntArray, TaskData
from xqr_bench.record.exposure import KINDS, Findings, Found

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


# Runs of units that stand both in a known set and in a stream of texts, found by hashes and then compared.
#
# The known texts (an evaluation task) are few, so every run of 8 words of them is kept: an exact index. MinHash would
# estimate the same overlap for sets too large to keep; there is no need to estimate here.

GRAM = 8 * WORD
"""Weight of a gram: 8 words."""
BREAK = 0
"""Stands for every unit that no known text has, and between texts."""
_Words = NDArray[np.uint64]


class Vocabulary:
    """Numbers of units, 1 .. V; whatever is not in it is BREAK."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        for text in texts:
            for unit in units(text):
                self._numbers.setdefault(unit, len(self._numbers) + 1)
        self._weights = np.array([WORD, *map(weight, self._numbers)], dtype=np.int64)

    def numbers(self, text: str) -> list[int]:
        """The units of a text by number."""
        known = self._numbers
        return [known.get(unit, BREAK) for unit in units(text)]

    def weights(self, numbers: IntArray) -> IntArray:
        """Weight of each unit, int64 `[units]`; that of an unknown one is a word's."""
        return self._weights[numbers]


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
        found: _Words = (self._sums[ends] - self._sums[starts]) * self._inverse[starts]
        return found


class RunSet:
    """Known runs of a stream; finds those that stand in another.

    Args:
        stream: where they stand.
        starts, ends: int64 `[runs]`; equal runs are one.

    Attributes:
        number: which of the distinct runs each given one is, int64 `[runs]`.
    """

    def __init__(self, stream: Stream, starts: IntArray, ends: IntArray) -> None:
        self._stream = stream
        self._hashes, first, number = np.unique(stream.hashes(starts, ends), return_index=True, return_inverse=True)
        self._starts, self._lengths = starts[first], (ends - starts)[first]
        self.number: IntArray = number.astype(np.int64)
        self.lengths: list[int] = np.unique(self._lengths).tolist()

    def among(self, stream: Stream, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """Those of the stream's runs that are known: which of the given, and the number of the known run."""
        none = np.zeros(0, dtype=np.int64)
        if not len(self._hashes) or not len(starts):
            return none, none
        hashes = stream.hashes(starts, ends)
        place = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        likely = np.flatnonzero((self._hashes[place] == hashes) & (self._lengths[place] == ends - starts))
        same = self._same(stream, starts[likely], place[likely])
        return likely[same], place[likely][same]

    def _same(self, stream: Stream, starts: IntArray, known: IntArray) -> NDArray[np.bool_]:
        """Whether the runs themselves are equal, and not only their hashes."""
        same = np.ones(len(starts), dtype=bool)
        lengths = self._lengths[known]
        for k in range(int(lengths.max(initial=0))):
            inside = np.flatnonzero(lengths > k)
            mine = self._stream.numbers[self._starts[known[inside]] + k]
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

    A gram is the shortest run of units that weighs at least 8 words (`xqr_bench.record.exposure_search`). A text is
    found exactly where all of its units stand in a row, and partly where some of its grams do. Texts below 4 words,
    and titles, are found only where they are the whole of a text. Empty ones are left out.

    Args:
        data: the task, in whatever languages are to be looked for.
    """

    def __init__(self, data: TaskData) -> None:
        self.data = data
        named = list(_texts_of_task(data))
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


# Training data on disk -> texts with their places.

FORMATS = (".txt", ".tsv", ".jsonl", ".json", ".parquet")


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
                yield from _texts_of_file(file)
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"{file} cannot be read: {error}", remedy="correct it, or leave it out") from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _format(file) in FORMATS)
        if not found:
            raise DataError(f"{path} holds no text files", found="", remedy=f"they end in {', '.join(FORMATS)}")
        return found
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="name the files of the training data")
    if _format(path) not in FORMATS:
        raise DataError(
            f"{path} is of no kind that can be searched", remedy=f"give files that end in {', '.join(FORMATS)} (or .gz)"
        )
    return [path]


def _format(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _texts_of_file(path: Path) -> Iterator[Placed]:
    kind = _format(path)
    if kind == ".parquet":
        yield from _parquet(path)
        return
    with _opened(path) as lines:
        if kind == ".json":
            yield from (Placed(text, path.name) for text in _strings(strict_json.parse(lines.read())))
            return
        for number, line in enumerate(lines, start=1):
            place = f"{path.name}:{number}"
            if kind == ".jsonl":
                yield from (Placed(text, place) for text in (_strings(strict_json.parse(line)) if line.strip() else ()))
            else:
                yield from (Placed(text, place) for text in line.rstrip("\n").split("\t" if kind == ".tsv" else "\n"))


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=10_000):
            for values in batch.to_pylist():
                row += 1
                yield from (Placed(text, f"{path.name}:{row}") for text in _strings(values))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _strings(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _strings(child)
