"""The files that the shards of a run exchange: what each says of itself, its arrays, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.folder import SharedFolder

FORMAT = "xqr-bench shard 4"
MEASURED, ENCODED, FOUND, COUNTED = "measured", "encoded", "found", "counted"
PASSES = (MEASURED, ENCODED, FOUND, COUNTED)
"""What every shard does, in this order: its share of the token counts, of the vectors, of the thresholds, and of the
counts. Each needs what all shards made before. The first is left out where the encoder does not count tokens."""
_NAME = re.compile(rf"(?P<number>[1-9]\d*)-of-(?P<of>[1-9]\d*)\.(?P<what>{'|'.join(PASSES)})", re.ASCII)
PLANNED = "plan/texts"
"""What one shard has planned for all: which vectors are taken from the embedding store, and which texts are encoded."""
VECTORS = ".f32"
"""How the name of a file of vectors ends, which stands beside what tells of them."""
_COPY = re.compile(rf"(?![.~]).*?(?P<name>[1-9]\d*-of-[1-9]\d*).*\.(?P<what>{'|'.join(PASSES)})\b.*", re.ASCII)
_ON_THE_WAY = (".tmp", ".partial", ".crdownload")
_LENGTH = 8
_MOST_HEADER = 2**27

Arrays = Mapping[str, NDArray[Any]]


def shard_file(number: int, of: int, what: str) -> str:
    """The name of a file: `2-of-3.counted`."""
    return f"{number}-of-{of}.{what}"


def shard_files(names: Iterable[str]) -> dict[str, tuple[int, int, str]]:
    """Those that are files of shards: name -> number, number of shards, pass."""
    found = {name: _NAME.fullmatch(name) for name in sorted(names)}
    return {name: (int(one["number"]), int(one["of"]), one["what"]) for name, one in found.items() if one is not None}


def refuse_copies(folder: SharedFolder, names: Iterable[str]) -> None:
    """Check that no file is named nearly as one of a shard, as tools that synchronise folders name a second version.

    Raises:
        RecordError: one is.
    """
    for name in sorted(names):
        copy = None if "/" in name or _NAME.fullmatch(name) or name.endswith(_ON_THE_WAY) else _COPY.fullmatch(name)
        if copy is not None:
            whole = f"{copy['name']}.{copy['what']}"
            raise RecordError(
                f"{folder.place_of(name)} has nearly the name of {whole}: it is there twice, or under a wrong name",
                remedy=f"keep one of them, as {whole}, and remove the other; tools that synchronise folders leave such "
                "copies where two machines have written a file",
            )


@dataclass(frozen=True)
class About:
    """What a file says of itself.

    Attributes:
        number, of: which shard it is of, from 1, and how many there are.
        what: which pass made it.
        facts: what all shards of a run agree in, by name, as texts.
        sources: the sums of the files that it was made from, by name.
        made: what else is known of it.
        sum: SHA-256 over its arrays, facts and sources, by which a file that is made from it knows it.
        header_sum: SHA-256 over all of the above.
    """

    number: int
    of: int
    what: str
    facts: Mapping[str, str]
    sources: Mapping[str, str]
    made: Mapping[str, Any]
    sum: str = ""
    header_sum: str = ""

    @property
    def name(self) -> str:
        """What its file is called."""
        return PLANNED if self.what == PLANNED else shard_file(self.number, self.of, self.what)


def _sum(about: About, arrays: Arrays) -> str:
    said = [about.number, about.of, about.what, dict(about.facts), dict(about.sources)]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _header_sum(about: About) -> str:
    said = {key: value for key, value in vars(about).items() if key != "header_sum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def write_shard_file(folder: SharedFolder, about: About, arrays: Arrays, name: str | None = None) -> None:
    """Write a file, whole or not at all; `name`: another one than the shard's own.

    Raises:
        XqrBenchError: it cannot be written.
    """
    from safetensors.numpy import save

    about = replace(about, sum=_sum(about, arrays))
    said = {**vars(about), "format": FORMAT, "header_sum": _header_sum(about)}
    content = save({key: np.ascontiguousarray(one) for key, one in arrays.items()}, {"about": json.dumps(said)})
    folder.write(name or about.name, [content])


def read_about(folder: SharedFolder, name: str) -> About:
    """What a file says of itself, without its arrays.

    Raises:
        RecordError: it is no file of a shard, of another version, or is called as another one.
        XqrBenchError: it cannot be read.
    """
    length = int.from_bytes(folder.read(name, 0, _LENGTH), "little")
    if not 0 < length < _MOST_HEADER:
        raise _damaged(folder, name, "it has no header")
    return _about(folder, name, folder.read(name, _LENGTH, _LENGTH + length))


def _about(folder: SharedFolder, name: str, header: bytes) -> About:
    try:
        said = strict_json.parse(strict_json.parse(header)["__metadata__"]["about"])
        written = said.pop("format")
        about = About(**said) if written == FORMAT else None
        if about is not None and not all(isinstance(one, dict) for one in (about.facts, about.sources, about.made)):
            raise ValueError("its facts are not in order")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(folder, name, f"what it says of itself cannot be read ({error})") from error
    if about is None:
        raise RecordError(
            f"{folder.place_of(name)} was written by another version of xqr-bench",
            found=f"its format is {written!r:.40}, not {FORMAT!r}",
            remedy="remove the files of this run, and run all of its shards with one version; or merge them with the "
            "version that wrote them",
        )
    if _header_sum(about) != about.header_sum:
        raise _damaged(folder, name, "the checksum of what it says of itself differs")
    if "/" not in name and about.name != name:
        raise RecordError(
            f"{folder.place_of(name)} is shard {about.number} of {about.of} ({about.what}) a second time, under the "
            "name of another",
            remedy="remove it, and run the shard of that name again",
        )
    return about


def read_shard_file(folder: SharedFolder, name: str) -> tuple[About, dict[str, NDArray[Any]]]:
    """A whole file.

    Raises:
        RecordError: as `read_about`; or it is not what was written.
        XqrBenchError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = folder.read(name)
    length = int.from_bytes(content[:_LENGTH], "little")
    about = _about(folder, name, content[_LENGTH : _LENGTH + length])
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except SafetensorError as error:
        raise _damaged(folder, name, f"its arrays cannot be read ({error})") from error
    if _sum(about, arrays) != about.sum:
        raise _damaged(folder, name, "the checksum of its arrays differs")
    return about, arrays


def _damaged(folder: SharedFolder, name: str, why: str) -> RecordError:
    return RecordError(
        f"{folder.place_of(name)} is damaged, or no file of a shard",
        found=why,
        remedy="remove it, and run its shard again",
    )


def refuse_foreign(folder: SharedFolder, name: str, about: About, facts: Mapping[str, str]) -> None:
    """Check that a file is of the run with these facts.

    Raises:
        RecordError: it is of another one; the message names what differs.
    """
    other = [
        f"{key}: {about.facts.get(key, 'none')!s:.80} there, {facts.get(key, 'none')!s:.80} here"
        for key in {**facts, **about.facts}
        if about.facts.get(key) != facts.get(key)
    ]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise RecordError(
            f"{folder.place_of(name)} is a shard of another run",
            found="; ".join(other[:3]) + more,
            remedy="remove it, or keep the shards of each run in a folder of their own",
        )


def arrays_below(arrays: Arrays, key: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with a key, without it."""
    return {name.removeprefix(f"{key}."): values for name, values in arrays.items() if name.startswith(f"{key}.")}
