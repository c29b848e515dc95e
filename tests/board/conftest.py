"""A board whose one task is the mini task, and records for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import edit
from xqr_bench.board import facts
from xqr_bench.core.types import Ranks
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.char_ngrams import CharNgrams
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.quantize import QuantizeOptions
from xqr_bench.record import Record, load_ranks, ranks_digest, record_path, save_ranks, save_record
from xqr_bench.tasks import Selection, load_spec

METRICS = ("map", "recall@1", "rank_distance", "language_position")
Change = Callable[[Any], object]


@pytest.fixture(autouse=True, scope="module")  # not "package": in a module that imports it, that is the session
def mini_board() -> Iterator[None]:
    """The mini task, as if it were not a demonstration."""
    spec = load_spec("mini").model_copy(update={"demonstration": False})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facts, "list_specs", lambda: [spec])
        yield


def submittable(record: Record) -> Record:
    info = record.task.model_copy(update={"demonstration": False})
    return record.model_copy(update={"task": info})


def score(
    encoder: object,
    *,
    options: EncoderOptions | None = None,
    limit: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    transform: TransformOptions | None = None,
    quantize: QuantizeOptions | None = None,
) -> Record:
    """A record of the mini task with few metrics, so that it is quickly proved."""
    ranker = VectorRanker(load_encoder(encoder, options), transform, quantize)
    return submittable(evaluate(ranker, select=Selection(limit=limit), metrics=METRICS, arguments=arguments)[0])


@pytest.fixture(scope="session")
def record() -> Record:
    return score("char-ngrams")


@pytest.fixture(scope="session")
def bounds() -> list[Record]:
    return [submittable(evaluate(bound, metrics=METRICS)[0]) for bound in ("random", "oracle")]


class Noisy:
    """The lexical encoder with a little noise: about as good."""

    name = "lab/noisy"
    revision = "2"

    def encode(self, texts: list[str]) -> np.ndarray:
        vectors = np.asarray(CharNgrams().encode(texts), dtype=np.float32)
        noise = np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
        return vectors + 1e-4 * noise


@pytest.fixture(scope="session")
def noisy() -> Record:
    return score(Noisy())


@pytest.fixture
def saved(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path / "results", record.model.name, record.task.name))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "leaderboard"


def edit_ranks(path: Path, change: Callable[[Ranks], Ranks | None], *, sign: bool = True) -> None:
    """Change the ranks beside a record; with `sign` the record names their digest."""
    beside = path.with_suffix(".ranks.parquet")
    ranks = load_ranks(beside)
    ranks = change(ranks) or ranks
    save_ranks(ranks, beside)
    if sign:
        facts = {"digest": ranks_digest(ranks), "n_queries": ranks.n_queries, "n_relevants": ranks.n_relevants}
        edit(path, lambda data: data["ranks_file"].update(facts))
