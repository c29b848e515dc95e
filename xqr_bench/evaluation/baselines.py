"""Rankers without an encoder: BM25, a floor that knows nothing of the text, a ceiling that knows the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.strict_json import MOST_INTEGER
from xqr_bench.core.types import PARAGRAPH, Ranks, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.evaluation.ranker import RANKERS, Ranker, Ranking, ScoreRanker, Task
from xqr_bench.rank.exact import ScoreBlock, exact_ranks, ranks_of_scores
from xqr_bench.rank.lexical import NAME, Bm25, Bm25Options
from xqr_bench.rank.parts import rank_by_parts
from xqr_bench.rank.product import TILE_ROWS, Vectors
from xqr_bench.rank.rules import group_relevants


class LexicalRanker(ScoreRanker):
    """BM25: every candidate has a score; in a language's own ranking by the words of that language alone."""

    own_lists = True

    def __init__(self, options: Bm25Options | None = None, name: str = NAME) -> None:
        self.options, self.name = options or Bm25Options(), name
        self.settings = asdict(self.options)

    @property
    def identity(self) -> ModelIdentity:
        """BM25 and its parameters."""
        return self.options.identity()

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """Index the texts, then score them."""
        with observe.phase("indexing", 1):
            index = Bm25(part, self.options)
            observe.advance(1)
        yield from index.scores()


@dataclass
class BoundRanker:
    """A floor or a ceiling: ranks made from the task alone; a warning says in the record what it is."""

    identity: ModelIdentity
    ranks: Callable[[TaskData], Ranks]
    warning: str
    name: str = ""
    device: str | None = None

    def __post_init__(self) -> None:
        self.name = self.name or self.identity.name

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Make the ranks of each task."""
        for task in tasks:
            clock = Clock()
            with clock.phase("ranking"), observe.phase("ranking", 1):
                ranks = rank_by_parts(task.data, task.spec.settings, lambda part, *_: self.ranks(part))
                observe.advance(1)
            given = self.identity.model_kwargs
            yield Ranking(ranks, warnings=(self.warning,), settings=given, seconds=clock.seconds)


DIMENSIONS = 64


def random_ranker(seed: int = 0, name: str = "") -> BoundRanker:
    """The floor: random vectors.

    Raises:
        UsageError: a negative seed, or one that no record can hold.
    """
    if not 0 <= seed <= MOST_INTEGER:
        raise UsageError(f"--seed cannot be {seed}", remedy="use a whole number from 0 on, of at most 18 digits")
    identity = ModelIdentity(
        kind="baseline",
        name="random",
        revision=f"seed-{seed}",
        similarity="none",
        model_kwargs={"seed": seed, "vector_dimensions": DIMENSIONS},
    )
    warning = "random vectors: the floor, no encoder"
    return BoundRanker(identity, lambda data: random_ranks(data, seed), warning, name)


def oracle_ranker(name: str = "") -> BoundRanker:
    """The ceiling: all relevants on top, tied; it depends on nothing."""
    identity = ModelIdentity(kind="baseline", name="oracle", revision="1", similarity="none")
    warning = "every relevant candidate on top, tied: the ceiling, no encoder"
    return BoundRanker(identity, oracle_ranks, warning, name)


def random_ranks(data: TaskData, seed: int = 0) -> Ranks:
    """Ranks of vectors drawn from a hash of seed and text: the same on every machine, equal for equal texts."""
    queries = _random_vectors([query.text for query in data.queries], seed, "query")
    candidates = _random_vectors([candidate.text for candidate in data.candidates], seed, "candidate")
    return exact_ranks(data, queries, candidates)


def _random_vectors(texts: Sequence[str], seed: int, role: str) -> Vectors:
    """Components uniform in -1 .. 1, float32 `[texts, DIMENSIONS]`."""
    prefix = f"xqr-bench random {seed} {role}\n".encode()
    drawn = b"".join(hashlib.shake_256(prefix + text.encode()).digest(2 * DIMENSIONS) for text in texts)
    numbers = np.frombuffer(drawn, dtype="<u2").reshape(len(texts), DIMENSIONS)
    return ((numbers + np.float32(0.5)) / np.float32(2**15) - 1).astype(np.float32)


def oracle_ranks(data: TaskData) -> Ranks:
    """The relevants of each query stand on top: the greatest scores possible, and no preference of a language.

    They tie; where they have gains, those of one gain do, higher gains above.

    Where sentences of their paragraphs count too, these come next, tied: the ceiling under every rule of relevance.
    """
    paragraphs = group_relevants(data) if PARAGRAPH in data.relevance else data.relevants
    grades = np.unique(data.row_gains)

    def blocks() -> Iterator[ScoreBlock]:
        for start in range(0, len(data.queries), TILE_ROWS):
            both = list(zip(data.relevants, paragraphs, strict=True))[start : start + TILE_ROWS]
            scores = np.zeros((len(both), len(data.candidates)), dtype=np.float32)
            for row, (relevants, of_paragraphs) in enumerate(both):
                gains = data.row_gains[data.offsets[start + row] : data.offsets[start + row + 1]]
                scores[row, list(of_paragraphs)] = 1
                scores[row, list(relevants)] = 2 + np.searchsorted(grades, gains)
            yield ScoreBlock(start, scores, scores)

    return ranks_of_scores(data, blocks(), own_lists=False)


@RANKERS.register(NAME)
def _bm25(argument: str) -> LexicalRanker:
    """BM25 over words, or pairs of characters where a script has no spaces."""
    if argument:
        raise UsageError(
            f"{NAME} takes nothing after a colon", remedy=f"xqr-bench baseline {NAME} has options for its parameters"
        )
    return LexicalRanker()


@RANKERS.register("random")
def _random(argument: str) -> BoundRanker:
    """The floor: random vectors; random:SEED draws others."""
    if not (argument or "0").isdecimal() or len(argument) > 18:
        problem = f"the seed in random:{argument:.40} is no whole number of at most 18 digits"
        raise UsageError(problem, remedy="write random:SEED, as random:1")
    return random_ranker(int(argument or 0))


@RANKERS.register("oracle")
def _oracle(argument: str) -> BoundRanker:
    """The ceiling: all relevants on top, tied."""
    if argument:
        raise UsageError("oracle takes nothing after a colon", remedy="write oracle")
    return oracle_ranker()


def baseline_of(identity: ModelIdentity) -> Ranker:
    """The baseline that a record was made with.

    Raises:
        UnknownNameError: there is no such baseline.
        RecordError: its parameters are not numbers.
    """
    given = identity.model_kwargs
    numbers = {name: value for name, value in given.items() if name in ("k1", "b", "seed")}
    if not all(type(value) in (int, float) for value in numbers.values()):
        raise RecordError("the parameters of the record's baseline are not numbers", found=str(given)[:80])
    if identity.name == NAME:
        return LexicalRanker(Bm25Options(**{name: float(numbers[name]) for name in ("k1", "b") if name in numbers}))
    if identity.name == "random":
        return random_ranker(int(numbers.get("seed", 0)))
    if identity.name == "oracle":
        return oracle_ranker()
    raise UnknownNameError("baseline", identity.name, [NAME, "random", "oracle"])
