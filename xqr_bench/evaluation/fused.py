"""Fusion: the rankings of several rankers made one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.options import flag
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import ENCODERS, EncoderOptions, ModelIdentity, VectorStore
from xqr_bench.encode.options import Fusion, FusionMethod
from xqr_bench.encode.precomputed import PREFIX
from xqr_bench.encode.python_object import is_python_spec
from xqr_bench.evaluation.baselines import BoundRanker
from xqr_bench.evaluation.ranker import RANKERS, Ranker, Ranking, Scores, Task, rank_scores, stages_of
from xqr_bench.evaluation.reranked import Rows
from xqr_bench.evaluation.runs import RunRanker
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.fusion import normalised_sums, reciprocal_ranks
from xqr_bench.rank.product import Vectors
from xqr_bench.record import TextCounts

FUSE = "fuse:"
METHODS: tuple[FusionMethod, ...] = ("rrf", "combsum")
K = 60
ROWS = 64
"""Queries at a time: a few arrays of 64 bits a ranking are held of them."""


@checked
@dataclass
class Fused:
    """Ranks by what several rankings give a candidate together; what each gives depends on its place in a list.

    In the multilingual setting that is the list of all candidates; in the other settings that of one language, so that
    a language's own ranking is no part of the pooled one.

    Attributes:
        rankers: two or more; each has scores of all candidates.
        method: "rrf", reciprocal rank fusion: the sum of weight / (k + rank), of tied candidates their middle rank;
            "combsum": the sum of weight * score, where the scores of a list are moved and scaled to 0..1.
        k: of rrf; default: 60, as Cormack, Clarke and Büttcher (2009) have it.
        weights: of each ranker, above 0; default: 1.
        name: of the record; default: the method and the names of the rankers.

    Raises:
        UsageError: there are less than two, one has no scores of all candidates, or an argument cannot be meant.
    """

    rankers: Sequence[Ranker]
    method: str = "rrf"
    k: int | None = None
    weights: Sequence[float] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("way of fusing rankings", self.method, METHODS)
        if len(self.rankers) < 2:
            raise UsageError("one ranking cannot be fused", remedy=f"name two or more: {FUSE}{self.method} MODEL MODEL")
        if self.k is not None and (self.method != "rrf" or self.k < 0):
            raise UsageError(f"--fuse-k cannot be {self.k} of {self.method}", remedy="give rrf a number from 0 on")
        if self.weights is not None and len(self.weights) != len(self.rankers):
            raise UsageError(
                f"{len(self.weights)} weights are given for {len(self.rankers)} rankings", remedy="give one for each"
            )
        for weight in self.weights or ():
            if not 1e-6 <= weight <= 1e6:
                raise UsageError(f"a weight of a ranking cannot be {weight}", remedy="use numbers from 1e-6 to 1e6")
        for one in self.rankers:
            if isinstance(one, RunRanker | BoundRanker):
                raise _without_scores(one)
            if any(stage.changed for stage in stages_of(one) if isinstance(stage, VectorRanker)):
                raise UsageError(
                    f"{one.name} cannot be fused: the record would not say what was done to its vectors",
                    remedy="leave index, transform and quantize out",
                )
        names = ", ".join(one.name.rpartition("/")[2] for one in self.rankers)
        notes = [] if self.k in (None, K) else [f"k {self.k}"]
        alike = set(self._weights) == {1.0}
        notes += [] if alike else ["weights " + " ".join(f"{weight:g}" for weight in self._weights)]
        self._title = f"{self.method}({names}{'; ' * bool(notes)}{', '.join(notes)})"
        self.name = self.name or self._title
        refuse_unreadable(self.name, "the name of the fusion", "give it one that can be read on one line: --name NAME")

    @property
    def identity(self) -> ModelIdentity:
        """The method, and the identities of the rankers; what is learnt while a ranker encodes follows from them."""
        fusion = Fusion(
            method=next(one for one in METHODS if one == self.method),
            k=(K if self.k is None else self.k) if self.method == "rrf" else None,
            weights=tuple(self._weights),
            parts=tuple(one.identity for one in self.rankers),
        )
        return ModelIdentity(kind="fused", name=self._title, similarity="none", fusion=fusion)

    @property
    def device(self) -> str | None:
        """That of the first ranker that has one, where there is one other than the processor."""
        devices = [one.device for one in self.rankers if one.device is not None]
        return next((device for device in devices if device != "cpu"), next(iter(devices), None))

    @property
    def stages(self) -> tuple[Ranker, ...]:
        """See `stages_of`."""
        return tuple(self.rankers)

    @property
    def _weights(self) -> list[float]:
        return [1.0] * len(self.rankers) if self.weights is None else [float(weight) for weight in self.weights]

    def with_store(self, store: VectorStore | None) -> Fused:
        """The same, of which the encoders keep their vectors in a store."""
        rankers = [replace(one, store=store) if isinstance(one, VectorRanker) else one for one in self.rankers]
        return replace(self, rankers=rankers)

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Rank as each ranker does, then by what they give together.

        Raises:
            UsageError: one has no scores of all candidates.
        """
        for task, *made in zip(tasks, *(one.rank(tasks, observe) for one in self.rankers), strict=True):
            scores: list[Scores] = []
            warnings: list[str] = []
            clock, texts = Clock(), [ranking.texts for ranking in made if ranking.texts is not None]
            for ranker, ranking in zip(self.rankers, made, strict=True):
                if ranking.scores is None:
                    raise _without_scores(ranker)
                scores.append(ranking.scores)
                warnings += [f"{ranker.name}: {warning}" for warning in ranking.warnings]
                for phase, seconds in ranking.seconds.items():
                    clock.seconds[phase] = round(clock.seconds.get(phase, 0.0) + seconds, 6)
            fused = partial(self._scores, scores)
            with clock.phase("fusing"):
                ranks = rank_scores(task, fused, observe, own_lists=True)
            yield Ranking(
                ranks,
                warnings=warnings,
                settings={"fused": self._settings(made)},
                seconds=clock.seconds,
                texts=TextCounts(
                    distinct=sum(one.distinct for one in texts), from_store=sum(one.from_store for one in texts)
                )
                if texts
                else None,
                scores=fused,
            )

    def _settings(self, made: Sequence[Ranking]) -> list[Mapping[str, Any]]:
        both = zip(self.rankers, made, strict=True)
        return [{"name": ranker.name, **ranking.settings} for ranker, ranking in both]

    def _scores(
        self, of: Sequence[Scores], part: TaskData, queries: IntArray, candidates: IntArray
    ) -> Iterator[ScoreBlock]:
        blocks = [Rows(scores(part, queries, candidates)) for scores in of]
        for start in range(0, len(part.queries), ROWS):
            taken = [one.take(min(ROWS, len(part.queries) - start)) for one in blocks]
            pooled = self.fuse([block.pooled for block in taken])
            own = np.empty_like(pooled)
            for first, last in pairwise(part.edges.tolist()):
                if first < last:
                    own[:, first:last] = self.fuse([block.own[:, first:last] for block in taken])
            yield ScoreBlock(start, pooled, own)

    def fuse(self, rankings: Sequence[Vectors]) -> Vectors:
        """Scores of lists of the same candidates, float32 `[rows, candidates]` each, made one."""
        if self.method == "rrf":
            return reciprocal_ranks(rankings, self._weights, K if self.k is None else self.k)
        return normalised_sums(rankings, self._weights)


def _without_scores(ranker: Ranker) -> UsageError:
    return UsageError(
        f"{ranker.name} has no scores of all candidates to fuse",
        remedy="fuse encoders, bm25, score(queries, candidates) or scores:DIR; what was fused elsewhere is run:DIR",
    )


def named_parts(text: str) -> tuple[str, list[str]]:
    """The method and the MODELs of `fuse:METHOD MODEL MODEL ...`, written as for a shell.

    Raises:
        UsageError: it is not of that form.
    """
    try:
        first, *models = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text:.80} cannot be read: {error}", remedy="close the quotes") from None
    method = first.removeprefix(FUSE).casefold()
    if method not in METHODS or len(models) < 2:
        forms = " or ".join(f"{FUSE}{one}" for one in METHODS)
        raise UsageError(
            f"{text:.80} names no rankings to fuse",
            remedy=f"write {forms}, and two models or more behind it",
        )
    return method, models


_OF_MODELS = frozenset({"device", "dtype", "batch_size", "token_budget"})


def options_of_parts(models: Sequence[str], options: EncoderOptions) -> list[EncoderOptions]:
    """The options of each model: those that say how to compute are for all that compute, the others for none.

    Raises:
        UsageError: an option that would be another for each model, or one that none of them takes.
    """
    options.refuse_all_but("a fusion, whose models are loaded as they are", _OF_MODELS | {"name"})
    given = {name: getattr(options, name) for name in _OF_MODELS if getattr(options, name) is not None}
    taken = [_taken(model) & given.keys() for model in models]
    if unused := sorted(given.keys() - set().union(*taken)):
        wrong = ", ".join(map(flag, unused))
        raise UsageError(f"{wrong}: none of {', '.join(models)} takes it", remedy="leave it out")
    return [EncoderOptions(**{name: given[name] for name in names}) for names in taken]


def _taken(model: str) -> frozenset[str]:
    """Which of the options a MODEL takes, as far as its form tells; it refuses the others itself."""
    if model.partition(":")[0] in RANKERS or model.startswith(PREFIX):
        return frozenset()
    return frozenset({"batch_size"}) if model in ENCODERS or is_python_spec(model) else _OF_MODELS


@RANKERS.register("fuse")
def _fuse(argument: str) -> Ranker:
    """Several rankings made one: fuse:rrf MODEL MODEL ..., or fuse:combsum."""
    named_parts(f"{FUSE}{argument}")
    raise UsageError("a fusion is opened with its models", remedy=f"evaluate('{FUSE}rrf MODEL MODEL')")
