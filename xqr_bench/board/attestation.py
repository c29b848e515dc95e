"""What a reproduction found, beside the record it is about."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.board.files import MAX_NOTE, read_json
from xqr_bench.errors import RecordError
from xqr_bench.record import Record

MOVED_SHARE = 0.01
SCORE_DIFFERENCE = 0.001
RANK_SLACK = 1.0
RANK_SLACK_SHARE = 0.01


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tolerance(_Part):
    """When two evaluations count as the same.

    A relevant has moved when its rank in the whole pool (the mean over the order of ties) differs by more than
    1 + 1% of its rank: scores of another machine differ in the last bits, and far down the pool, where scores lie
    close together, that moves most ranks by a little.
    """

    moved_share: float = Field(default=MOVED_SHARE, description="at most this share of the relevants has moved")
    score_difference: float = Field(default=SCORE_DIFFERENCE, description="at most this much in any macro score")


class Found(_Part):
    """How two evaluations differ."""

    relevants: int
    identical: int = Field(description="relevants whose counts are all the same")
    moved: int
    max_score_difference: float
    largest: str = Field(description="the setting and metric of the greatest difference")

    @property
    def moved_share(self) -> float:
        """Share of the relevants that have moved."""
        return self.moved / self.relevants if self.relevants else 0.0

    def within(self, tolerance: Tolerance) -> bool:
        """Whether the difference is tolerable."""
        return self.moved_share <= tolerance.moved_share and self.max_score_difference <= tolerance.score_difference


class Attestation(_Part):
    """That somebody ran the encoder again, and what came out."""

    attestation_version: Literal[1] = 1
    record_digest: str = Field(description="of the record, see record_digest")
    reproduced_ranks: str = Field(description="digest of the new ranks")
    tolerance: Tolerance
    found: Found
    model: str = Field(description="what was run")
    identity_differences: dict[str, Any] = Field(description="field -> [in the record, now]")
    code_version: str
    commit: str | None
    dirty: bool | None
    python: str
    packages: dict[str, str]
    hardware: dict[str, Any]
    date: date


def record_digest(record: Record) -> str:
    """SHA-256 over what an attestation is about: task, data, model and ranks; not the provenance."""
    facts = {
        "task": record.task.name,
        "files": record.task.files,
        "model": record.model.model_dump(mode="json", exclude_none=True),
        "ranks": record.ranks_file.digest,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def load_attestation(path: Path, record: Record) -> Attestation:
    """Read an attestation and check that it is about this record and says what the status needs.

    Raises:
        RecordError: it is not, or its tolerance is wider than the leaderboard's, or was not kept.
    """
    data = read_json(path, MAX_NOTE)
    remedy = "run xqr-bench reproduce again"
    try:
        made = Attestation.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{path} is no attestation: {where}: {first['msg']}", remedy=remedy) from None
    if made.record_digest != record_digest(record):
        raise RecordError(f"{path} is about another record", remedy=remedy)
    if made.tolerance.moved_share > MOVED_SHARE or made.tolerance.score_difference > SCORE_DIFFERENCE:
        raise RecordError(
            f"the tolerance of {path} is wider than the leaderboard's",
            found=f"{made.tolerance.moved_share} of the relevants, {made.tolerance.score_difference} in scores",
            remedy=f"reproduce within {MOVED_SHARE} and {SCORE_DIFFERENCE}",
        )
    found = made.found
    whole = 0 <= found.moved <= found.relevants == record.ranks_file.n_relevants
    exact = found.identical == found.relevants
    if not whole or not 0 <= found.identical <= found.relevants or not found.max_score_difference >= 0:
        raise RecordError(f"the counts of {path} are not possible", remedy=remedy)
    if exact != (made.reproduced_ranks == record.ranks_file.digest) or (exact and found.moved):
        raise RecordError(f"the counts of {path} contradict its digest", remedy=remedy)
    if not found.within(made.tolerance):
        raise RecordError(f"what {path} found is not within its tolerance", remedy=remedy)
    return made
