"""What a reproduction found, beside the record it is about: who ran what, when, and how far the ranks agree."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.board.files import MAX_NOTE, check_file, check_versions, publishable, read_json, signature_path
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.core.files import now_at, put_in_place, waiting_place, write_text
from xqr_bench.core.names import MAX_NAME, looks, unseen
from xqr_bench.core.printable import shown_line
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.providers import is_local
from xqr_bench.record import Record, Result, shortened
from xqr_bench.record.model import Commit, Digest, Hardware, Packages, Version

if TYPE_CHECKING:
    import minisign

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


class Differences(_Part):
    """How two evaluations differ."""

    relevants: int
    identical: int = Field(description="relevants whose counts are all the same")
    moved: int
    max_score_difference: float
    largest: str = Field(
        pattern=r"^([a-z-]+ [a-z_]+(@[0-9]+)?)?$",
        max_length=100,
        description="the setting and metric of the greatest difference",
    )

    @property
    def moved_share(self) -> float:
        """Share of the relevants that have moved."""
        return self.moved / self.relevants if self.relevants else 0.0

    def within(self, tolerance: Tolerance) -> bool:
        """Whether the difference is tolerable."""
        return self.moved_share <= tolerance.moved_share and self.max_score_difference <= tolerance.score_difference


class Attestation(_Part):
    """That somebody ran the encoder again, and what came out."""

    attestation_version: Literal[2] = 2
    by: str = Field(description="who ran it, as they name themselves")
    date: date
    record_digest: Digest = Field(description="of the whole record, see record_digest")
    identity: ModelIdentity = Field(description="what was run")
    reproduced_ranks: Digest = Field(description="digest of the new ranks")
    tolerance: Tolerance
    found: Differences
    code_version: Version
    commit: Commit | None = None
    dirty: bool | None = None
    python: Version
    packages: Packages
    hardware: Hardware
    key: str | None = Field(
        default=None, description="minisign public key of the signature beside the file; absent: unsigned"
    )


def record_digest(record: Record) -> str:
    """SHA-256 over the record as it is published, with the digests of its ranks: canonical JSON.

    What has its default is left out, so that a field that records get later changes no older digest.
    """
    names: Any = {"ranks_file": {"file"}, "relevance": {"__all__": {"ranks_file": {"file"}}}}  # set where it is written
    data = publishable(record.stored()).model_dump(mode="json", exclude_defaults=True, exclude=names)
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


WITHOUT_ENCODER = {
    "precomputed": "precomputed vectors",
    "scores": "scores made elsewhere",
    "run": "a ranking made elsewhere",
}


def is_of_sweep(record: Record) -> bool:
    """Whether the record is of a study's sweep, which keeps no models."""
    recipe = (record.training or {}).get("recipe")
    group = record.run_group or {}
    return isinstance(group.get("study"), str) and "plan" in group and isinstance(recipe, dict)


def why_unrepeatable(record: Record) -> str | None:
    """Why nobody else can run what a record names; None: somebody may."""
    for one in record.model.identity.models:
        if one.kind in WITHOUT_ENCODER:
            return f"made from {WITHOUT_ENCODER[one.kind]}"
        if one.endpoint is not None and is_local(one.endpoint.url):
            return f"of an endpoint at {one.endpoint.url}, which is another server on another machine"
    if is_of_sweep(record):
        return "of a sweep, which keeps no models"
    return None


def refuse_unrepeatable(record: Record) -> None:
    """Refuse records of a part of a task, and of rankings that are not exact and whole.

    Raises:
        RecordError: this is one.
    """
    if record.task.partial:
        raise RecordError("a record of a part of a task cannot be reproduced", remedy="evaluate on the whole task")
    if record.index is not None or record.ranks_file.depth is not None:
        raise RecordError(
            "only exact rankings of full depth can be reproduced",
            found="a ranking through an index, or cut at a depth",
            remedy="evaluate without --index",
        )


def load_attestation(path: Path, record: Record) -> Attestation:
    """Read an attestation and check that it covers this record and says what the status needs.

    Raises:
        RecordError: it does not, or its tolerance is wider than the leaderboard's, or was not kept.
        XqrBenchError: it is signed, and the signature cannot be checked without a package.
    """
    remedy = "remove it, or run the encoder again: xqr-bench reproduce RECORD --by NAME"
    digest = record_digest(record)
    data = read_json(now_at(path, digest), MAX_NOTE)
    if isinstance(data, dict) and data.get("attestation_version") == 1:
        raise RecordError(f"{path} is of an older form, which names nobody", remedy=remedy)
    try:
        made = strict_json.validate(Attestation, data)
    except ValidationError as error:
        raise RecordError(f"{path} is no attestation: {strict_json.first_fault(error)}", remedy=remedy) from None
    refuse_unrepeatable(record)
    if (why := why_unrepeatable(record)) is not None:
        raise RecordError(f"{path} attests a record that cannot be reproduced", found=f"it is {why}", remedy=remedy)
    check_named(made.by, str(path))
    if marked := [text for text in made.hardware.values() if isinstance(text, str) and _unfit(text)]:
        raise RecordError(f"{path} describes no machine", found=repr(marked[0]), remedy=remedy)
    if made.identity != record.model.identity:
        raise RecordError(
            f"{path} is of another encoder than the record's",
            found="; ".join(identity_differences(record.model.identity, made.identity)),
            remedy=remedy,
        )
    if made.record_digest != digest and isinstance(record, Result):
        record = shortened(record)  # as it is submitted: so it was attested
        digest = record_digest(record)
    if made.record_digest != digest:
        raise RecordError(f"{path} covers another record, or this one before it was changed", remedy=remedy)
    if not record.provenance.created[:10] <= made.date.isoformat() <= datetime.now(UTC).date().isoformat():
        raise RecordError(
            f"{path} has an impossible date",
            found=f"{made.date}; the record was made on {record.provenance.created[:10]}",
            remedy=remedy,
        )
    check_versions(made.code_version, made.python)
    _check_found(path, made, record, remedy)
    _check_signature(path, made, remedy)
    return made


def _check_found(path: Path, made: Attestation, record: Record, remedy: str) -> None:
    if made.tolerance.moved_share > MOVED_SHARE or made.tolerance.score_difference > SCORE_DIFFERENCE:
        raise RecordError(
            f"the tolerance of {path} is wider than the leaderboard's",
            found=f"{made.tolerance.moved_share} of the relevants, {made.tolerance.score_difference} in scores",
            remedy=f"reproduce within {MOVED_SHARE} and {SCORE_DIFFERENCE}",
        )
    differ, n_relevants = made.found, record.ranks_file.n_relevants
    exact = differ.identical == differ.relevants
    figures = {"", *(f"{setting} {name}" for setting, scores in record.scores.items() for name in scores.macro)}
    possible = (
        differ.relevants == n_relevants >= differ.identical + differ.moved and min(differ.identical, differ.moved) >= 0
    )
    for fault, wrong in (
        ("the counts of {} are not possible", not possible or not differ.max_score_difference >= 0),
        ("{} names a figure that the record does not have", differ.largest not in figures),
        (
            "the counts of {} contradict its digest",
            exact != (made.reproduced_ranks == record.ranks_file.digest)
            or (exact and (differ.moved > 0 or differ.max_score_difference > 1e-9)),
        ),
        ("what {} found is not within its tolerance", not differ.within(made.tolerance)),
    ):
        if wrong:
            raise RecordError(fault.format(path), remedy=remedy)


def check_named(by: str, where: str) -> None:
    """Check the name of who ran an encoder again.

    Raises:
        RecordError: it is empty, long, holds what cannot be seen, or says itself that it is signed or not.
    """
    if not by.strip() or len(by) > MAX_NAME or any(map(unseen, by)):
        raise RecordError(
            f"{where} names nobody who ran the encoder", found=repr(by[:40]), remedy="name yourself: --by NAME"
        )
    if _says_signed(by):
        raise RecordError(
            f"the name in {where} says whether it is signed, which its signature says",
            found=repr(by),
            remedy="give the name alone: --by NAME; a key signs with --sign KEY",
        )


_SIGNED = re.compile(r"(?<![^\W_])(un)?signed(?![^\W_])")
_SIGNED_APART = re.compile(r"[^\w](un)?signed")


def _says_signed(text: str) -> bool:
    """Whether a reader may take the text for our word that it is signed or not: as a word, or behind any bracket."""
    apart = any(map(_SIGNED_APART.search, looks("".join(text.split()))))
    return apart or any(map(_SIGNED.search, looks(text)))


def _unfit(text: str) -> bool:
    return any(map(unseen, text)) or _says_signed(text)


def identity_differences(there: ModelIdentity, here: ModelIdentity) -> list[str]:
    """What differs between the identity in the record and that of what was run."""
    pairs = ((name, value, getattr(here, name)) for name, value in there)
    return [f"{name} was {value}, is {now}" for name, value, now in pairs if value != now]


# Signatures: minisign's, in a file beside the attestation. They say which key attests; whose it is, a reader must know.

MAX_SIGNATURE = 4096


def _minisign() -> Any:
    try:
        import minisign
    except ImportError as error:
        raise XqrBenchError(
            "signatures need the package py-minisign", remedy="pip install 'xqr-bench[sign]'"
        ) from error
    return minisign


def secret_key(path: Path) -> minisign.SecretKey:
    """Read a secret key of minisign; its password, where it has one, is asked for.

    Raises:
        XqrBenchError: there is none, the password is wrong, or the package is missing.
    """
    library = _minisign()
    try:
        key = library.SecretKey.from_file(path)
        if key.is_encrypted():
            key.decrypt(getpass.getpass(f"password of {shown_line(str(path))}: "))
    except (OSError, ValueError, EOFError) as error:
        raise XqrBenchError(
            f"cannot use the key {path}: {error}", remedy="name a secret key of minisign: minisign -G -s FILE"
        ) from error
    return key


def public_key(key: minisign.SecretKey) -> str:
    """The public half of a key, as text."""
    return str(key.get_public_key().to_base64().decode("ascii"))


def write_attestation(path: Path, made: Attestation, key: minisign.SecretKey | None) -> None:
    """Write an attestation, and its signature where there is a key."""
    data = made.model_dump(mode="json", exclude_none=True)
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    signature = signature_path(path)
    waiting = waiting_place(signature, made.record_digest)
    if signature.is_file():  # where it waits it may stand alone, which no reader of the attestation may
        signature.replace(waiting)
    for file in (path, signature):
        put_in_place(file, None)
    if key is not None:
        signed = key.sign(text.encode(), trusted_comment=f"file:{path.name}".encode("ascii", "replace").decode())
        write_text(waiting, bytes(signed).decode("ascii") + "\n")
    write_text(path, text)
    if key is not None:
        put_in_place(signature, made.record_digest)


def _check_signature(path: Path, made: Attestation, remedy: str) -> None:
    """An attestation that names a key has a signature of this key over its bytes; one that names none has none."""
    signature = now_at(signature_path(path), made.record_digest)
    if made.key is None:
        if signature.exists() or signature.is_symlink():
            raise RecordError(f"{path} names no key, yet there is {signature.name}", remedy=remedy)
        return
    check_file(signature, MAX_SIGNATURE)
    library = _minisign()
    try:
        key = library.PublicKey.from_base64(made.key)
        key.verify(now_at(path, made.record_digest).read_bytes(), library.Signature.from_bytes(signature.read_bytes()))
    except ValueError as error:
        raise RecordError(
            f"{signature} is no signature of {path.name} by the key that it names", found=str(error), remedy=remedy
        ) from error
