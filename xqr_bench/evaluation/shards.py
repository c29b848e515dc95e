"""One evaluation done by several processes, which exchange nothing but files: any scheduler, Ray, or two terminals.

Passes over shards 1 to n, each of which needs what all shards made in the one before: `measure` counts the tokens of a
shard's share of the texts (left out where the encoder does not), `encode` makes its share of the vectors, `find` the
scores of the relevants among its share of the canonical tiles of candidates, `count` what stands above and beside them
there. `MergedRanker` adds the counts up; the record is that of a single run.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.folder import SharedFolder, is_url
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.rows import ROWS_AT_ONCE, Chosen, row_sums, zero_rows
from xqr_bench.encode.shares import Made, Shares, measures, shares_of, shelved
from xqr_bench.encode.store import kept_files
from xqr_bench.evaluation.ranker import Ranker, Task
from xqr_bench.evaluation.shard_facts import machine, refuse_other_numbers, run_facts
from xqr_bench.evaluation.shard_files import (
    COUNTED,
    ENCODED,
    FOUND,
    MEASURED,
    PLANNED,
    VECTORS,
    About,
    Arrays,
    arrays_below,
    read_about,
    read_shard_file,
    refuse_copies,
    refuse_foreign,
    shard_file,
    shard_files,
    write_shard_file,
)
from xqr_bench.evaluation.shard_vectors import EncodedVectors
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.counting import Share, device_name
from xqr_bench.rank.exact import counter_on, go_through
from xqr_bench.rank.parts import Pool, pools_of
from xqr_bench.rank.product import repeats_of, row_digests, unit_vectors
from xqr_bench.rank.rules import Tally
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.record.exposure import declared_exposure
from xqr_bench.record.provenance import exposure_of, training_of
from xqr_bench.tasks import own_file

_MAKES = {MEASURED: "token counts", ENCODED: "vectors", FOUND: "scores of the relevants", COUNTED: "counts"}
POLL_SECONDS = 2.0


class Waiting(NamedTuple):
    """What a shard waits for: these other shards, from 1, have not done this pass."""

    what: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        some = ", ".join(map(str, self.numbers[:12])) + (", …" if len(self.numbers) > 12 else "")
        return f"waits for the {_MAKES[self.what]} of shard{'s' * (len(self.numbers) > 1)} {some}"


def refuse_undealt(ranker: Ranker, how: str = "--shard") -> VectorRanker:
    """Check that a ranker's work can be dealt out with the result of a single run, bit for bit.

    Args:
        ranker: what is to be dealt out.
        how: the option that asks for it, for messages.

    Raises:
        UsageError: it cannot.
    """
    alone = f"evaluate it in one process, without {how}"
    if not isinstance(ranker, VectorRanker):
        raise UsageError(
            f"{how} deals out the vectors of an encoder, which {ranker.name} does not have one of a text",
            remedy=alone,
        )
    if ranker.transform is not None:
        raise UsageError(
            f"--transform {ranker.transform.name} is estimated on all vectors of a language, which no shard has",
            remedy=alone + "; or leave --transform out",
        )
    if ranker.quantize is not None or ranker.index is not None:
        name = "--quantize" if ranker.quantize is not None else "--index"
        raise UsageError(f"{name} cannot be used with {how}: shards are counted exactly", remedy=f"leave {name} out")
    return ranker


class ShardedRun:
    """One evaluation in shards. Every process makes one with the same ranker, tasks and folder, and does its shards.

    Args:
        ranker: an encoder without a transform, index or quantisation.
        tasks: all of them, in the same order everywhere: texts are encoded together.
        folder: where the shards exchange files; a folder, or a URL that fsspec knows.
        of: how many shards there are.
        sources: the tasks as the user named them, for whoever merges; default: their files or names.
        asked: which part of the tasks was asked for, for the record.
        arguments: as the user gave them, for the record.

    Attributes:
        facts: what all shards of the run have to agree in.

    Raises:
        UsageError: the ranker's work cannot be dealt out (see `refuse_undealt`), there is no device to count on, or
            there are no shards.
    """

    def __init__(
        self,
        ranker: Ranker,
        tasks: Sequence[Task],
        folder: SharedFolder | str | Path,
        of: int,
        *,
        sources: Sequence[str] = (),
        asked: Mapping[str, Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if of < 1:
            raise UsageError(f"a run cannot have {of} shards", remedy="give a number from 1 on")
        self.ranker, self.tasks, self.of = refuse_undealt(ranker), list(tasks), of
        self.ranker.check_device()
        self.folder = folder if isinstance(folder, SharedFolder) else SharedFolder(folder)
        named = [str(own_file(task.spec) or task.spec.name) for task in tasks]
        self._said = {
            "model": self.ranker.name,
            "tasks": list(sources) or named,
            "asked": dict(asked or {}),
            "arguments": dict(arguments or {}),
            "settings": self.ranker.settings,
            "specs": [{"metrics": task.spec.metrics, "relevance": task.spec.relevance} for task in tasks],
        }
        self.facts = run_facts(self.ranker, self.tasks, of)
        self._seen: dict[str, About] = {}  # of the files that were found to be of this run

    @property
    def passes(self) -> dict[str, Callable[[int, Observer | None], None]]:
        """What every shard does, in this order: name of the pass -> what does it."""
        measuring = {MEASURED: self.measure} if self._measures else {}
        return {**measuring, ENCODED: self.encode, FOUND: self.find, COUNTED: self.count}

    @cached_property
    def _measures(self) -> bool:
        return measures(self.ranker.encoder)

    @cached_property
    def _shares(self) -> Shares:
        datas = [task.data for task in self.tasks]
        ranker = self.ranker
        return shares_of(ranker.encoder, datas, allow_zero=ranker.allow_zero_vectors, store=ranker.store)

    @cached_property
    def _shelved(self) -> bool:
        return shelved(self.ranker.encoder, self.ranker.store)

    def go_on(self, number: int, observe: Observer | None = None, until: str = COUNTED) -> Waiting | None:
        """Do whatever of a shard can be done now; what was done before is not done again.

        Args:
            number: which shard, from 1.
            observe: hears how far the work is.
            until: the pass to end with.

        Returns:
            what it waits for; None: all of this shard is done, as far as it was to be.

        Raises:
            RecordError: a file in the folder is of another run, or damaged.
            XqrBenchError: whatever is wrong with the encoder, its vectors or the folder.
        """
        sums: dict[str, str] = {}  # of the files that the pass is made from
        for what, do in self.passes.items():
            if what == ENCODED and self._shelved:
                planned = self._planned(sums)
                sums = {**sums, PLANNED: "" if planned is None else planned.sum}
            if not self._is_done(number, what, sums):
                do(number, observe)
            if what == ENCODED and self._shelved:
                sums = {**sums, PLANNED: self._about_plan().sum}
            if what == until:
                break
            if missing := self.missing(what):
                return Waiting(what, missing)
            abouts = [self._about(one, what) for one in range(1, self.of + 1)]
            if stale := tuple(about.number for about in abouts if dict(about.sources) != sums):
                return Waiting(what, stale)
            sums = {about.name: about.sum for about in abouts}
        return None

    def wait(self, number: int, seconds: float, observe: Observer | None = None) -> Waiting | None:
        """Go on with a shard until all of it is done, or no file has come for so many seconds; see `go_on`.

        Raises:
            UsageError: no such time can be waited.
        """
        if not 0 <= seconds < math.inf:
            raise UsageError(f"{seconds:g} seconds cannot be waited", remedy="give a number from 0 on")
        since, last = time.monotonic(), set[str]()
        while (waiting := self.go_on(number, observe)) is not None:
            there = self.folder.names() | self._kept()  # also what others have encoded so far
            if there != last:
                since, last = time.monotonic(), there
            if time.monotonic() - since >= seconds:
                return waiting
            time.sleep(min(POLL_SECONDS, max(0.05, seconds)))
        return None

    def _kept(self) -> set[str]:
        """The files of the encoder in the embedding store."""
        encoder, store = self.ranker.encoder, self.ranker.store
        if store is None or not isinstance(encoder, TextEncoder):
            return set()
        return {str(path) for path in kept_files(store, encoder)}

    def missing(self, what: str) -> tuple[int, ...]:
        """The shards, from 1, that have not done a pass; vectors that are not there whole are not done.

        Raises:
            RecordError: a file in the folder is of another run, damaged, or there twice.
        """
        there = self._numbers(what)
        return tuple(number for number in range(1, self.of + 1) if number not in there)

    def size_of(self, number: int, what: str) -> int:
        """How many texts (of the passes over texts) or queries a shard goes through in a pass that it has done."""
        if what == MEASURED:
            return sum(len(range(number - 1, layout.size, self.of)) for layout in self._shares.groups)
        if what == ENCODED:
            return sum(group["rows"] for group in self._about(number, ENCODED).made["groups"].values())
        return sum(len(task.data.queries) for task in self.tasks)

    def _numbers(self, what: str) -> set[int]:
        sizes = self.folder.sizes()
        refuse_copies(self.folder, sizes)
        files = shard_files(sizes)
        refuse_other_numbers(self.folder, files, self.of)
        for name, (number, _, kind) in files.items():
            if name not in self._seen:
                self._seen[name] = self._about(number, kind)
        if PLANNED in sizes and PLANNED not in self._seen:
            self._seen[PLANNED] = self._about_plan()
        numbers = {number for number, _, kind in files.values() if kind == what}
        return {number for number in numbers if what != ENCODED or self._has_vectors(number, sizes)}

    def _has_vectors(self, number: int, sizes: Mapping[str, int | None]) -> bool:
        """Whether the files of vectors that a shard has made are there, and as long as they were."""
        name = shard_file(number, self.of, ENCODED)
        for _ in range(2):
            groups = [one for one in self._seen[name].made["groups"].values() if "file" in one]
            if all(sizes.get(one["file"], 0) in (None, 4 * one["rows"] * one["columns"]) for one in groups):
                return True
            self._seen[name] = self._about(number, ENCODED)  # it may have been made again
        return False

    def _is_done(self, number: int, what: str, sums: Mapping[str, str]) -> bool:
        """Whether a shard has done a pass, from files with these sums."""
        return number in self._numbers(what) and dict(self._about(number, what).sources) == sums

    def _about(self, number: int, what: str) -> About:
        name = shard_file(number, self.of, what)
        about = read_about(self.folder, name)
        refuse_foreign(self.folder, name, about, self.facts)
        return about

    def _all(self, what: str) -> list[tuple[About, dict[str, NDArray[Any]]]]:
        """The files of all shards of a pass."""
        files = []
        for number in range(1, self.of + 1):
            name = shard_file(number, self.of, what)
            about, arrays = read_shard_file(self.folder, name)
            refuse_foreign(self.folder, name, about, self.facts)
            files.append((about, arrays))
        return files

    def _write(
        self, number: int, what: str, arrays: Arrays, clock: Clock, sources: Sequence[About] = (), **made: Any
    ) -> None:
        made |= {"seconds": clock.seconds, "machine": machine(self.ranker), "said": self._said}
        of_sources = {about.name: about.sum for about in sources}
        write_shard_file(self.folder, About(number, self.of, what, self.facts, of_sources, made), arrays)

    # The plan of what is taken from the embedding store, and of what is encoded.

    def _about_plan(self) -> About:
        about = read_about(self.folder, PLANNED)
        refuse_foreign(self.folder, PLANNED, about, self.facts)
        return about

    def _planned(self, sums: Mapping[str, str]) -> About | None:
        """The plan that is there, made from token counts with these sums; None: there is none."""
        about = self._about_plan() if PLANNED in self.folder.names() else None
        return about if about is not None and dict(about.sources) == sums else None

    def _plan(self, measured: Sequence[About], observe: Observer) -> list[About]:
        """Take the plan that is there, else make it; where no store is used each process makes the same by itself."""
        if not self._shelved:
            return []
        sums = {about.name: about.sum for about in measured}
        with self._shares.planning():
            if self._planned(sums) is None:
                about = About(0, self.of, PLANNED, self.facts, sums, {})
                write_shard_file(self.folder, about, self._shares.plan(self.of, observe), PLANNED)
            about, arrays = read_shard_file(self.folder, PLANNED)
        self._shares.take_plan(arrays)
        return [about]

    # The passes over texts.

    def measure(self, number: int, observe: Observer | None = None) -> None:
        """Count the tokens of a shard's share of the texts, and write the counts.

        Args:
            number: which shard, from 1.
            observe: hears how many texts are done.

        Raises:
            EncoderError: the encoder failed.
            XqrBenchError: the folder cannot be written.
        """
        clock = Clock()
        with clock.phase("encoding"):
            counts = self._shares.measure(number - 1, self.of, observe or Observer())
        self._write(number, MEASURED, counts, clock)

    def encode(self, number: int, observe: Observer | None = None) -> None:
        """Make a shard's share of the vectors, and write them with digests of them; all shards have measured.

        Vectors of an encoder whose state is known are kept while the work goes on, in the embedding store, else among
        the files of the run: a shard that is killed goes on after them. At a URL they are kept in both, since whoever
        goes on may have another store.

        Args:
            number: which shard, from 1.
            observe: hears how many texts are done.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
            XqrBenchError: a file is missing, damaged or of another run, or the folder cannot be written.
        """
        observe, clock, encoder = observe or Observer(), Clock(), self.ranker.encoder
        kept = _Pieces(self.folder, number, self.of, self.facts)
        keeps = kept if not self._shelved or is_url(self.folder.name) else None
        arrays: dict[str, NDArray[Any]] = {}
        groups: dict[str, Any] = {}
        files: list[str] = []
        measured = self._all(MEASURED) if self._measures else []
        with clock.phase("encoding"):
            self._shares.take_counts([of_shard for _, of_shard in measured])
            sources = [about for about, _ in measured]
            sources += self._plan(sources, observe)
            for at, made in enumerate(self._shares.make(number - 1, self.of, keeps, observe)):
                layout = self._shares.groups[at]
                raw = self._shares.raw(at)
                of_group = self._described(made, raw)
                about: dict[str, Any] = {"rows": len(made.texts), "columns": encoder.identity.dimensions}
                if made.vectors is not None and len(made.texts):
                    digest = hashlib.sha256(made.vectors.data).hexdigest()
                    about["file"] = f"{number}-of-{self.of}.{layout.name}.{digest[:12]}{VECTORS}"
                    step = range(0, len(made.vectors), ROWS_AT_ONCE)
                    rows = (made.vectors[start : start + ROWS_AT_ONCE].astype("<f4", copy=False) for start in step)
                    self.folder.write(about["file"], (some.tobytes() for some in rows))
                    files.append(about["file"])
                about["warnings"] = self._task_warnings()
                groups[layout.name] = about
                arrays |= {f"{layout.name}.{key}": values for key, values in of_group.items()}
        usage = encoder.usage
        self._write(
            number,
            ENCODED,
            arrays,
            clock,
            sources,
            groups=groups,
            identity=encoder.identity.model_dump(mode="json"),
            warnings=list(encoder.warnings),
            usage=None if usage is None else usage.model_dump(mode="json"),
        )
        for name in self.folder.names():
            old = name.startswith(f"{number}-of-{self.of}.") and name.endswith(VECTORS) and name not in files
            if old or name.startswith(kept.place):
                self.folder.remove(name)

    def _task_warnings(self) -> dict[str, list[str]]:
        encoder = self.ranker.encoder
        return {task.spec.name: encoder.warnings_for(task.data.name)[len(encoder.warnings) :] for task in self.tasks}

    def _described(self, made: Made, raw: Callable[[IntArray], NDArray[np.float32]] | None) -> dict[str, Any]:
        """What the other shards have to know of some vectors."""
        of_rows: dict[str, list[NDArray[Any]]] = {"digests": [], "zero": [], "lengths": [], "raw": [], "sums": []}
        dot = self.ranker.encoder.similarity != "cosine"
        for start in range(0, len(made.texts), ROWS_AT_ONCE):
            some = made.texts[start : start + ROWS_AT_ONCE]
            if made.vectors is None:
                assert raw is not None
                vectors = raw(some)
                of_rows["raw"].append(row_digests(vectors))
            else:
                vectors = made.vectors[start : start + ROWS_AT_ONCE]
                of_rows["sums"].append(row_sums(vectors))
            of_rows["zero"].append(zero_rows(vectors))
            of_rows["digests"].append(row_digests(vectors if dot else unit_vectors(vectors)))
            if dot:
                of_rows["lengths"].append(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)))
        found: dict[str, Any] = {key: np.concatenate(rows) for key, rows in of_rows.items() if rows}
        found |= {"texts": made.texts, "flags": made.flags}
        if made.stored.any():
            found["stored"] = made.stored.astype(np.uint8)
        return found if len(made.texts) else {}

    # The passes over vectors.

    def find(self, number: int, observe: Observer | None = None) -> None:
        """Find the scores of the relevants in a shard's share of the tiles; all shards have encoded.

        Args:
            number: which shard, from 1.
            observe: hears how many queries are done.

        Raises:
            XqrBenchError: a file is missing, damaged or of another run, or the folder cannot be written.
        """
        observe, clock = observe or Observer(), Clock()
        with clock.phase("ranking"):
            vectors = EncodedVectors(self._shares, self._all(ENCODED), self.folder)
            arrays: dict[str, NDArray[Any]] = {}
            for key, tally, _ in self._through(number, vectors, (True, False), observe):
                arrays |= {f"{key}.{name}": values for name, values in tally.found().items()}
        self._write(number, FOUND, arrays, clock, vectors.abouts, counted_on=self._counted_on(vectors))

    def count(self, number: int, observe: Observer | None = None) -> None:
        """Count what stands above and beside the relevants in a shard's share of the tiles; all shards have found.

        The diagnostics of a share of the languages are made here too.

        Args:
            number: which shard, from 1.
            observe: hears how many queries are done.

        Raises:
            XqrBenchError: as `find`; a relevant was found nowhere, or twice.
        """
        observe, clock = observe or Observer(), Clock()
        with clock.phase("ranking"):
            found = self._all(FOUND)
            vectors = EncodedVectors(self._shares, self._all(ENCODED), self.folder)
            sums = {about.name: about.sum for about in vectors.abouts}
            for about, _ in found:
                if dict(about.sources) != sums:
                    raise RecordError(
                        f"{self.folder.place_of(about.name)} was made from vectors that have changed since",
                        remedy=f"run shard {about.number} again, then this one",
                    )
            arrays: dict[str, NDArray[Any]] = {}

            def begin(key: str, tally: Tally) -> None:
                for _, of_shard in found:
                    tally.take_found(arrays_below(of_shard, key))
                tally.refuse_unfound()

            for key, tally, _ in self._through(number, vectors, (False, True), observe, begin):
                arrays |= {f"{key}.{name}": values for name, values in tally.counted().items()}
        with clock.phase("diagnostics"):
            told = [self._told(at, number, vectors) for at in range(len(self.tasks))]
        sources, counted_on = [about for about, _ in found], self._counted_on(vectors)
        self._write(number, COUNTED, arrays, clock, sources, tasks=told, counted_on=counted_on)

    def _through(
        self,
        number: int,
        vectors: EncodedVectors,
        finding: tuple[bool, bool],
        observe: Observer,
        begin: Callable[[str, Tally], None] = lambda key, tally: None,
    ) -> Iterator[tuple[str, Tally, Pool]]:
        """Go through a shard's tiles of each pool of each task, and yield what was found or counted in them."""
        ranker = self.ranker
        for at, task in enumerate(self.tasks):
            queries, candidates = vectors.of(at, "query"), vectors.of(at, "candidate")
            device = self.ranker.device_for(task, candidates.shape[1])
            vectors.check(at)
            ids, every_query = vectors.ids(at), queries[:]
            pools = pools_of(task.data, task.spec.settings)
            repeats = [repeats_of(ids[pool.candidates]) for pool in pools]
            widths = [(len(pool.candidates), len(one.first)) for pool, one in zip(pools, repeats, strict=True)]
            shares = dealt([sum(-(-size // tiles.TILE_COLUMNS) for size in both) for both in widths], number, self.of)
            with observe.phase("ranking", len(task.data.queries)):
                for pool_at, (pool, same, own) in enumerate(zip(pools, repeats, shares, strict=True)):
                    tally, key = Tally(pool.data), f"{at}.{pool_at}"
                    tally.begin_finding()
                    begin(key, tally)
                    whole = pool.data is task.data
                    counter = counter_on(
                        device,
                        pool.data.edges,
                        every_query if whole else every_query[pool.queries],
                        candidates if whole else Chosen(candidates, pool.candidates),  # type: ignore[arg-type]
                        unit=ranker.encoder.similarity == "cosine",
                        memory=ranker.memory,
                        share=Share(same, own),
                    )
                    go_through(tally, counter, [finding], len(pool.queries), None)
                    observe.advance(len(pool.queries))
                    yield key, tally, pool

    def _counted_on(self, vectors: EncodedVectors) -> list[str]:
        """Where each task is counted."""
        of_tasks = enumerate(self.tasks)
        return [
            device_name(self.ranker.device_for(task, vectors.of(at, "candidate").shape[1])) for at, task in of_tasks
        ]

    def _told(self, at: int, number: int, vectors: EncodedVectors) -> dict[str, Any]:
        """What a record says of a task beside its ranks: this shard's share of the languages, the rest of shard 1."""
        task, encoder = self.tasks[at], self.ranker.encoder
        said = vectors.embeddings(at)
        codes = task.data.all_languages[number - 1 :: self.of]
        diagnostics = language_diagnostics(task.data, said, encoder, codes)
        told: dict[str, Any] = {"diagnostics": {code: one.model_dump(mode="json") for code, one in diagnostics.items()}}
        if number > 1:
            return told
        facts: dict[str, Any] = {}
        if encoder.declared is not None:
            facts["exposure"] = declared_exposure(encoder.declared, task.data.name).model_dump(mode="json")
        if (training := training_of(encoder.source)) is not None:
            facts["training"] = training.model_dump(mode="json")
            facts["exposure"] = exposure_of(training, task.data).model_dump(mode="json")
        return {
            **told,
            "facts": facts,
            "warnings": vectors.warnings(at),
            "distinct": said.distinct_texts,
            "stored": said.stored_texts,
        }


def dealt(sizes: Sequence[int], number: int, of: int) -> list[range]:
    """A shard's share of some lists of tiles: consecutive ones of all lists together, as ranges of each list.

    Args:
        sizes: tiles of each list.
        number: which shard, from 1.
        of: how many there are.
    """
    total, start, shares = sum(sizes), 0, []
    low, high = total * (number - 1) // of, total * number // of
    for size in sizes:
        shares.append(range(min(max(low - start, 0), size), min(max(high - start, 0), size)))
        start += size
    return shares


class _Pieces:
    """What a shard has encoded so far, in files of its own."""

    def __init__(self, folder: SharedFolder, number: int, of: int, facts: Mapping[str, str]) -> None:
        self._folder, self._about = folder, About(number, of, "piece", facts, {}, {})
        self.place = f"pieces/{number}-of-{of}/"
        self._there = {name for name in folder.names() if name.startswith(self.place)}

    def read(self, name: str) -> dict[str, NDArray[Any]] | None:
        """See `Kept`."""
        path = self.place + name
        if path not in self._there:
            return None
        try:
            about, arrays = read_shard_file(self._folder, path)
        except RecordError:  # damaged: encoded again
            return None
        return arrays if about.facts == self._about.facts else None

    def write(self, name: str, arrays: Arrays) -> None:
        """See `Kept`."""
        write_shard_file(self._folder, self._about, arrays, self.place + name)
