"""One model as it is now -> its raw and centred results, from one encoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.encode import BoundEncoder, Embeddings, embed_tasks, load_encoder
from xqr_bench.encode.embeddings import Counts, assemble
from xqr_bench.pipeline import make_record
from xqr_bench.progress import Clock
from xqr_bench.record import LanguageDiagnostics, ModelInfo, Record
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.record.training import TrainingRecord, exposure_of
from xqr_bench.search import exact_ranks
from xqr_bench.study.compact import Compact, compact
from xqr_bench.study.material import Material
from xqr_bench.train.cache import TrainCache
from xqr_bench.train.static import Tokens, is_static, vocabulary_digest
from xqr_bench.transform import TransformOptions, transform_vectors
from xqr_bench.types import Ranks

RAW, CENTRED = "raw", "centred"
_AT_ONCE = 4096


class Scored:
    """A model's vectors of a task, ranked as they are.

    Args:
        model: a SentenceTransformer, in evaluation mode.
        found: the task.
        cache: keeps the tokens of a static model.
        clock: told the time of each part.
    """

    def __init__(self, model: Any, found: Material, cache: TrainCache, clock: Clock) -> None:
        self._found, self._clock = found, clock
        self._bound: BoundEncoder = load_encoder(model)
        with clock.phase("encoding"):
            self._vectors = encode(model, self._bound, found, cache)
        with clock.phase("ranking"):
            self.ranks = self._rank(self._vectors)

    def _rank(self, vectors: Embeddings) -> Ranks:
        return exact_ranks(self._found.task, vectors.queries, vectors.candidates, similarity=self._bound.similarity)

    def views(self) -> dict[str, Compact]:
        """Results by article, of the vectors as they are and centred on each language's mean."""
        found = self._found
        with self._clock.phase("centring"):
            moved = transform_vectors(
                found.task, self._vectors, TransformOptions("center"), similarity=self._bound.similarity
            )
        with self._clock.phase("ranking centred"):
            ranks = {RAW: self.ranks, CENTRED: self._rank(moved.vectors)}
        with self._clock.phase("summing"):
            return {name: compact(of, found.articles, found.n_articles) for name, of in ranks.items()}

    def diagnostics(self) -> dict[str, LanguageDiagnostics]:
        """What happened to the texts of each language."""
        with self._clock.phase("diagnostics"):
            return language_diagnostics(self._found.task, self._vectors, self._bound)

    def record(
        self,
        name: str,
        training: TrainingRecord,
        diagnostics: dict[str, LanguageDiagnostics],
        run_group: dict[str, Any],
    ) -> Record:
        """A record of the vectors as they are, with its ranks but without intervals."""
        found = self._found
        with self._clock.phase("record"):
            record = make_record(
                found.spec,
                found.task,
                self.ranks,
                ModelInfo(name=name, identity=self._bound.identity),
                clock=Clock(dict(self._clock.seconds)),
                settings={"study": run_group},
                device=self._bound.device,
                diagnostics=diagnostics,
                warnings=list(self._bound.warnings),
                certainty=False,  # intervals of one run say nothing of an arm, and take longer than all the rest
            )
        record.training = training.model_dump(mode="json")
        record.exposure = exposure_of(training, found.task)
        record.run_group = run_group
        return record


def encode(model: Any, bound: BoundEncoder, found: Material, cache: TrainCache) -> Embeddings:
    """The vectors of the task, as `embed_tasks` gives them; of a static model from tokens that are kept."""
    if not is_static(model):
        return embed_tasks(bound, [found.task])[found.task.name]
    task = found.task
    vectors: dict[tuple[str, Any], NDArray[np.float32]] = {}
    distinct = 0
    for role, prompt, things in (("query", "query", task.queries), ("candidate", "document", task.candidates)):
        texts: Sequence[str] = [thing.text for thing in things]
        first = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        key = (task.name, str(task.partial), role, model.prompts[prompt], vocabulary_digest(model[0].tokenizer))
        tokens = cache.get("task tokens", key, partial(Tokens, model[0].tokenizer, list(first), model.prompts[prompt]))
        of_text = _bags(model, tokens)
        vectors[task.name, role] = of_text[[first[text] for text in texts]]
        distinct += len(first)
    bound.settle_dimensions(of_text.shape[1])
    return assemble(task, vectors, {}, Counts(distinct), 0.0)


def _bags(model: Any, tokens: Tokens) -> NDArray[np.float32]:
    """The mean of each text's subword vectors, float32 `[texts, d]`."""
    import torch

    n = len(tokens.lengths)
    parts = []
    with torch.no_grad():
        for start in range(0, n, _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, n), dtype=np.int32)
            ids, offsets = tokens.batch(rows)
            parts.append(model[0].embedding(torch.from_numpy(ids), torch.from_numpy(offsets)).numpy())
    return np.concatenate(parts)


def model_name(identity: str) -> str:
    """A run's name in records."""
    return f"ratio-study/{identity.replace('/', '_')}"


def task_file(folder: Path, task: str) -> Path:
    """Where the full record of a run stands."""
    return folder / f"{task}.json"
