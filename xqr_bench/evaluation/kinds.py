"""Models without one dense vector a text as rankers: sparse vectors, and a vector of each token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import EncoderOptions, ModelIdentity, in_context
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.kinds import OtherModel
from xqr_bench.encode.options import Role
from xqr_bench.encode.ragged import RaggedBatches, TokenFile, read_sparse, read_tokens, sparse_encoder, token_encoder
from xqr_bench.encode.texts import UNKNOWN, Group, items_of, plan_groups
from xqr_bench.evaluation.ranker import Ranking, ScoreRanker, Task
from xqr_bench.evaluation.vectors import distinct_texts
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.maxsim import TokenVectors, maxsim_scores
from xqr_bench.rank.sparse import SparseVectors, sparse_scores
from xqr_bench.record import LanguageDiagnostics, TextCounts
from xqr_bench.record.describe import representation_warnings, text_diagnostics
from xqr_bench.tasks import Selection, TaskSpec

ROLES: tuple[Role, Role] = ("query", "candidate")


class TextRanker(ScoreRanker):
    """Encodes each distinct text of all tasks once, and scores by what the texts became.

    Args:
        encoder: what makes it; its vectors are not kept in the store.

    Attributes:
        encoder: the same.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder, self.name, self.device = encoder, encoder.name, encoder.device
        self._groups: dict[Role, Group] = {}
        self._index: dict[Role, dict[str, int]] = {}
        self._numbers: dict[Role, IntArray] = {}

    @property
    def identity(self) -> ModelIdentity:
        """That of the encoder; it knows the dimensions once something was encoded."""
        return self.encoder.identity

    @abstractmethod
    def _encode(self, role: Role, batches: Iterator[tuple[IntArray, Any]]) -> IntArray:
        """Keep what the texts of a group became, and number it: equal numbers for equal vectors, int64 `[texts]`."""

    @staticmethod
    @abstractmethod
    def _read(returned: Any, texts: int, who: str) -> tuple[Any, int]:
        """Check what the encoder returned for a batch."""

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Encode all tasks, then score and count each.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
        """
        clock = Clock()
        with clock.phase("encoding"):
            datas = [in_context(task.data, self.identity.candidate_context) for task in tasks]
            groups = plan_groups(datas, symmetric=self.encoder.symmetric)
            with observe.phase("encoding", sum(len(group.texts) for group in groups)):
                for group in groups:
                    numbers = self._encode(group.role, self._batches(group, observe))
                    for role in ROLES if len(groups) == 1 else (group.role,):
                        self._groups[role], self._numbers[role] = group, numbers
                        self._index[role] = {text: row for row, text in enumerate(group.texts)}
        for task in tasks:
            for ranking in super().rank([task], observe):
                texts = {
                    (id(self._groups[role]), row) for role in ROLES for row in self._rows(task.data, role).tolist()
                }
                yield replace(
                    ranking,
                    seconds={**clock.seconds, **ranking.seconds},
                    texts=TextCounts(distinct=len(texts), from_store=0),
                )

    def rehearse(self, specs: Sequence[TaskSpec], select: Selection, observe: Observer) -> list[str]:
        """See Rehearsing: one question of each task is encoded and scored; the time is that of the encoding alone."""
        lines = []
        for spec in specs:
            data = select.load(spec, observe)
            few = Selection(limit=1).load(data, observe)
            # twice: what is done at the first call alone says nothing of the time that a run takes
            _, ranking = (one for _ in range(2) for one in self.rank([Task(spec, few)], observe))
            texts, tried = (distinct_texts(in_context(of, self.identity.candidate_context)) for of in (data, few))
            seconds = ranking.seconds["encoding"]
            minutes = seconds / sum(map(len, tried)) * sum(map(len, texts)) / 60
            lines.append(
                f"{data.name}: {len(data.languages)} languages, {len(data.queries):,} queries, "
                f"{len(data.candidates):,} candidates; about {len(texts):,} distinct texts to encode; {len(tried)} of "
                f"them in {seconds:.2f} s (at that rate by characters {minutes:.1f} min in all); then "
                f"{len(data.queries) * len(data.candidates):,} scores"
            )
        return lines

    def _batches(self, group: Group, observe: Observer) -> Iterator[tuple[IntArray, Any]]:
        for batch, rows in RaggedBatches(self.encoder, group, observe, self._read).everything():
            yield batch, rows
            observe.advance(len(batch))

    def _rows(self, data: TaskData, role: Role) -> IntArray:
        """The text of each query or candidate in the group of its role, int64."""
        placed = in_context(data, self.identity.candidate_context)
        return np.array([self._index[role][item.text] for item in items_of(placed, role)], dtype=np.int64)

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """Those of the encoder, and languages whose texts were cut off or have no vectors of their own."""
        diagnostics = self.diagnostics_for(data)
        cut = {code: (of.truncated_queries or 0) + (of.truncated_candidates or 0) for code, of in diagnostics.items()}
        listing = ", ".join(f"{code} {number}" for code, number in cut.items() if number)
        notes = [f"texts longer than the encoder's length limit were cut off: {listing}"] if listing else []
        return [*self.encoder.warnings_for(data.name), *notes, *representation_warnings(dict(diagnostics))]

    def diagnostics_for(self, data: TaskData) -> Mapping[str, LanguageDiagnostics]:
        """Texts, distinct vectors, tokens and texts cut off, by language; vectors are the same bit for bit or not."""
        placed = in_context(data, self.identity.candidate_context)
        by_language: dict[str, dict[str, Any]] = {code: {} for code in data.all_languages}
        for role, name in zip(ROLES, ("queries", "candidates"), strict=True):
            rows, group, numbers = self._rows(data, role), self._groups[role], self._numbers[role]
            items, given = items_of(data, role), items_of(placed, role)
            languages = np.array([item.language for item in items])
            for code, fields in by_language.items():
                here = np.flatnonzero(languages == code)
                if not len(here):
                    continue

                def groups(some: IntArray, numbers: IntArray = numbers[rows[here]]) -> IntArray:
                    return np.unique(numbers[some], return_counts=True)[1]

                of_items, of_given = ([source[row].text for row in here.tolist()] for source in (items, given))
                fields[name] = text_diagnostics(of_items, of_given, groups, self.encoder)
                flags = group.flags[rows[here]]
                fields[f"truncated_{name}"] = None if (flags == UNKNOWN).any() else int(flags.sum())
                fields[f"zero_{name}"] = int(self._zero(role)[rows[here]].sum())
        return {code: LanguageDiagnostics(**fields) for code, fields in by_language.items()}

    def _zero(self, role: Role) -> IntArray:
        """Which texts of a group have a vector of only zeros, 0 or 1, int64 `[texts]`."""
        return np.zeros(len(self._numbers[role]), dtype=np.int64)


MEMORY = 2 * 2**30


class LateRanker(TextRanker):
    """Late interaction (MaxSim) of a MultiVectorEncoder: exact, without an index.

    Args:
        encoder: see `token_encoder`.

    Attributes:
        memory: bytes for the token vectors of queries and of candidates, each; what is more stands in a temporary file.
    """

    memory = MEMORY

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(encoder)
        self._tokens: dict[Role, TokenVectors] = {}

    _read = staticmethod(read_tokens)

    @property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """What scores do not depend on."""
        return {"memory": self.memory}

    def _encode(self, role: Role, batches: Iterator[tuple[IntArray, Any]]) -> IntArray:
        file = TokenFile(self.memory)
        numbers: dict[int, int] = {}
        for batch, arrays in batches:
            numbers |= {text: file.add(one) for text, one in zip(batch.tolist(), arrays, strict=True)}
        self._tokens[role] = TokenVectors(*file.read())
        return np.array([numbers[text] for text in range(len(numbers))], dtype=np.int64)

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """MaxSim of all queries and candidates."""
        queries, candidates = (self._numbers[role][self._rows(part, role)] for role in ROLES)
        return maxsim_scores(self._tokens["query"], queries, self._tokens["candidate"], candidates)


class SparseRanker(TextRanker):
    """Products of sparse vectors, of a SparseEncoder or of Python code that declares `sparse = True`."""

    def __init__(self, encoder: TextEncoder) -> None:
        if encoder.identity.truncate_dim is not None:
            raise UsageError("--truncate-dim cannot be used with sparse vectors", remedy="leave it out")
        super().__init__(encoder)
        self._vectors: dict[Role, SparseVectors] = {}
        self._pairs = self._zeros = 0

    _read = staticmethod(read_sparse)

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """As `TextRanker`, with a warning of how many scores are exactly 0."""
        for ranking in super().rank(tasks, observe):
            yield ranking
            self._pairs = self._zeros = 0

    def _encode(self, role: Role, batches: Iterator[tuple[IntArray, Any]]) -> IntArray:
        order, parts = zip(*batches, strict=True)
        vectors = SparseVectors.of(parts, unit=self.encoder.similarity == "cosine")
        vectors = vectors.some(np.argsort(np.concatenate(order)))
        for here in ROLES if self.encoder.symmetric else (role,):
            self._vectors[here] = vectors
        return vectors.numbers()

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """Products of all queries and candidates."""
        queries, candidates = (self._vectors[role].some(self._rows(part, role)) for role in ROLES)
        for block in sparse_scores(queries, candidates):
            self._pairs += block.pooled.size
            self._zeros += block.pooled.size - int(np.count_nonzero(block.pooled))
            yield block

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """See TextRanker; and how many pairs have nothing in common."""
        notes = []
        if self._zeros:
            notes.append(
                f"{self._zeros:,} of {self._pairs:,} pairs of a query and a candidate score exactly 0 "
                f"({self._zeros / self._pairs:.1%}), such as all without a column in common: they tie"
            )
        return [*super().warnings_for(data), *notes]

    def _zero(self, role: Role) -> IntArray:
        return np.asarray(np.diff(self._vectors[role].edges) == 0, dtype=np.int64)


def sparse_ranker(model: OtherModel, options: EncoderOptions) -> SparseRanker:
    """Load a SparseEncoder, see `sparse_encoder`."""
    return SparseRanker(sparse_encoder(model, options))


def late_ranker(model: OtherModel, options: EncoderOptions) -> LateRanker:
    """Load a MultiVectorEncoder, see `token_encoder`."""
    return LateRanker(token_encoder(model, options))
