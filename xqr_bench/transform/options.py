"""What is done to vectors between encoding and ranking, as it is asked for and as a record tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from xqr_bench.errors import UnknownNameError, UsageError

NONE, CENTER, WHITEN, REMOVE = "none", "center", "whiten", "remove"
NAMES = (NONE, CENTER, WHITEN, f"{REMOVE}-1", f"{REMOVE}-3")
_REMOVE = re.compile(rf"{REMOVE}-(\d+)", re.ASCII)


@dataclass(frozen=True)
class TransformOptions:
    """A transform of vectors, and what it is estimated on.

    Attributes:
        name: `center`, `whiten`, or `remove-k` with a whole number k of at least 1.
        source: a folder of translated sentences (`data.bitext`); None: the texts of the task itself.

    Raises:
        UnknownNameError: there is no such transform.
        UsageError: a number that cannot be meant.
    """

    name: str
    source: Path | None = None

    def __post_init__(self) -> None:
        if self.name in (CENTER, WHITEN):
            return
        found = _REMOVE.fullmatch(self.name)
        if found is None:
            raise UnknownNameError(
                "transform", self.name, NAMES, remedy="use none, center, whiten, or remove-k with a number, as remove-3"
            )
        if int(found[1]) < 1 or found[1] != str(int(found[1])):
            raise UsageError(f"the transform {self.name} removes nothing", remedy="use remove-1 or more, or none")

    @classmethod
    def parse(cls, name: str | None, source: Path | str | None = None) -> TransformOptions | None:
        """The transform that is asked for; None for `none` or None.

        Raises:
            UsageError: as the class itself; a source without a transform.
        """
        folder = None if source is None else Path(source).expanduser()
        if name is None or name == NONE:
            if folder is not None:
                raise UsageError(
                    "--transform-from is given without a transform", remedy="say which: --transform center"
                )
            return None
        return cls(name, folder)

    @property
    def directions(self) -> int | None:
        """How many directions `remove-k` takes away; None for the others."""
        found = _REMOVE.fullmatch(self.name)
        return None if found is None else int(found[1])

    @property
    def suffix(self) -> str:
        """What the record's model is called beside the encoder: `+center`, `+remove-3`, `+center-from-ntrex`."""
        return f"+{self.name}" + (f"-from-{self.source.resolve().name}" if self.source is not None else "")


class Bitext(BaseModel):
    """The translated sentences a transform was estimated on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="of the folder")
    digest: str = Field(description="SHA-256 over the names and digests of its files")
    files: dict[str, str] = Field(description="file -> SHA-256")


class RoleCounts(BaseModel):
    """A number for the queries and one for the candidates of a language."""

    model_config = ConfigDict(extra="forbid")

    queries: int
    candidates: int


class RoleShares(BaseModel):
    """A share for the queries and one for the candidates of a language."""

    model_config = ConfigDict(extra="forbid")

    queries: float
    candidates: float


class TransformFacts(BaseModel):
    """What was done to the vectors of a record before they were ranked, language by language and role by role."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="center, whiten or remove-k (docs/transforms.md)")
    removed_directions: int | None = Field(default=None, description="k of remove-k")
    transductive: bool = Field(description="true: estimated on the very texts that are ranked, without their labels")
    source: str = Field(description="what it was estimated on, in words")
    bitext: Bitext | None = Field(default=None, description="absent: the task's own texts")
    unit_length: bool = Field(description="whether vectors were scaled to length 1 first (cosine)")
    dimensions: int
    estimated_on: dict[str, RoleCounts] = Field(description="language -> vectors behind the estimate, zero ones aside")
    shrinkage: dict[str, RoleShares] | None = Field(
        default=None, description="whiten: language -> weight of the multiple of the identity (Ledoit and Wolf 2004)"
    )
    without_direction: dict[str, RoleCounts] = Field(
        default_factory=dict,
        description="language -> vectors that only consisted of what was taken away; they are zero and score 0",
    )

    @property
    def label(self) -> str:
        """As a protocol is named: `center`, `center from ntrex`."""
        return self.name + (f" from {self.bitext.name}" if self.bitext is not None else "")
