"""An encoder on the machines of a Ray cluster: each worker loads it once, and does shards of the run (`ShardedRun`).

The driver loads no model. It hands out shards, pass by pass, and adds up what they counted; the record is that of a
single run. Workers exchange their files in a folder that all of them see; what a worker that died has left there is
gone on with by another one, and by the next run of the same command.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from xqr_bench.core.errors import EngineError
from xqr_bench.core.folder import SharedFolder, is_url
from xqr_bench.core.observe import Observer
from xqr_bench.encode import BoundEncoder, EncoderOptions, ModelIdentity, in_context, vector_store
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.options import ROLES
from xqr_bench.encode.shares import measures, shelved
from xqr_bench.encode.texts import items_of
from xqr_bench.evaluation.merged import MergedRanker
from xqr_bench.evaluation.ranker import Ranking, Task
from xqr_bench.evaluation.ray_workers import RayOptions, RayWorkers, one_worker_each, ray_workers
from xqr_bench.evaluation.shard_facts import run_facts, task_facts
from xqr_bench.evaluation.shard_files import COUNTED, ENCODED, FOUND, MEASURED, PASSES, shard_files
from xqr_bench.evaluation.shards import ShardedRun, refuse_undealt
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.tasks import Selection, TaskSpec

ENGINE = "--engine ray"
SHARDS_A_WORKER = 4
"""So that the others have done most of the work of one that is slow or dies."""
_DATA = "XQR_BENCH_DATA"
_HELLO = "hello"
_PHASES = {MEASURED: "measuring", ENCODED: "encoding", FOUND: "finding relevants", COUNTED: "counting"}
_OF_WORKERS = {MEASURED: "measuring", ENCODED: "encoding", FOUND: "ranking", COUNTED: "ranking"}
_PIECE = re.compile(r"pieces/\d+-of-(?P<of>\d+)/")
_UNSEEN = 60.0
"""Seconds after which a file that one machine wrote is seen by all others, or never."""


@dataclass(frozen=True)
class _Described:
    """What the driver has to know of an encoder that it does not load."""

    name: str
    identity: ModelIdentity
    device: str | None
    hint: str | None
    source: str | None
    options: EncoderOptions
    facts: dict[str, str]
    measures: bool
    keeps: bool
    symmetric: bool


@dataclass(frozen=True)
class _Part:
    """One shard of a run, for a worker."""

    number: int
    of: int
    folder: str
    hello: str
    specs: tuple[TaskSpec, ...]
    select: Selection
    settings: tuple[tuple[str, Any], ...]


class _Heard(NamedTuple):
    """How far a worker is with a shard.

    Attributes:
        number: which shard.
        lines: what a user should read, all of this shard so far.
        done: of each phase, how many texts or queries.
    """

    number: int
    lines: tuple[str, ...]
    done: dict[str, int]


class _Notes(Observer):
    """What happens to a shard, for the driver; another thread reads it meanwhile."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, number: int) -> None:
        """Of another shard from now on."""
        self._phases: list[str] = []
        self.heard = _Heard(number, (), {})

    def start(self, phase: str, total: int | None = None) -> None:
        self._phases.append(phase)

    def finish(self) -> None:
        self._phases.pop()

    def advance(self, steps: int, status: str = "") -> None:
        phase, done = self._phases[-1], self.heard.done
        self.heard = self.heard._replace(done={**done, phase: done.get(phase, 0) + steps})

    def note(self, line: str) -> None:
        self.heard = self.heard._replace(lines=(*self.heard.lines, line))


class _Shown:
    """Shows a pass of all shards, from what workers say of theirs.

    Args:
        observe: is told how many texts or queries are done in all, and what a user should read.
        phase: what workers call it.
        total: texts or queries.
        of: 1 where each shard does some of them; as many as there are shards where each does all, for a part of the
            candidates.
    """

    def __init__(self, observe: Observer, phase: str, total: int, of: int) -> None:
        self._observe, self._phase, self._total, self._of = observe, phase, total, of
        self._done: dict[int, int] = {}
        self._lines: Counter[int] = Counter()
        self._shown = 0

    def hear(self, said: _Heard) -> None:
        """Take what a worker says; what another one had said of the same shard before it died counts too."""
        for line in said.lines[self._lines[said.number] :]:
            self._observe.note(line)
        self._lines[said.number] = max(self._lines[said.number], len(said.lines))
        self._done[said.number] = max(self._done.get(said.number, 0), said.done.get(self._phase, 0))
        now = min(sum(self._done.values()) // self._of, self._total)
        if now > self._shown:
            self._observe.advance(now - self._shown)
            self._shown = now


class _Bench:
    """What a worker holds: the encoder, and the run whose shards it does, with its texts."""

    def __init__(self, model: str, options: EncoderOptions | None, data: str | None) -> None:
        from xqr_bench.evaluation.evaluate import opened

        if data is not None and Path(data).is_dir():
            os.environ.setdefault(_DATA, data)
        self._open = ExitStack()
        self.ranker = refuse_undealt(self._open.enter_context(opened(model, options)), ENGINE)
        self.notes = _Notes()
        self._run: tuple[_Part, ShardedRun] | None = None

    def heard(self) -> _Heard:
        """How far the shard is that is done now."""
        return self.notes.heard

    def run(self, part: _Part) -> ShardedRun:
        """The run that a shard is of; its texts are read and sorted once."""
        same = replace(part, number=0)
        if self._run is None or self._run[0] != same:
            folder = SharedFolder(part.folder)
            if _HELLO not in folder.names() or folder.read(_HELLO) != part.hello.encode():
                raise EngineError(
                    f"what stands in {part.folder} here is not what stands there on the machine that began the run",
                    remedy="name a place that all machines share: --exchange FOLDER, or a URL such as s3://bucket/folder",
                )
            ranker = replace(self.ranker, **dict(part.settings))
            tasks = [Task(spec, part.select.load(spec, self.notes)) for spec in part.specs]
            self._run = same, ShardedRun(ranker, tasks, folder, part.of)
        return self._run[1]


def _describe(bench: _Bench, _: None) -> _Described:
    encoder = bench.ranker.encoder
    facts = run_facts(bench.ranker, [], 1)
    told = (encoder.name, encoder.identity, encoder.device, encoder.hint, encoder.source, encoder.options)
    symmetric = isinstance(encoder, TextEncoder) and encoder.symmetric
    return _Described(*told, facts, measures(encoder), shelved(encoder, vector_store()), symmetric)


def _go_on(bench: _Bench, part: _Part, until: str) -> tuple[str | None, _Heard]:
    """Do what can be done of a shard up to a pass; what it waits for, and what happened."""
    bench.notes.begin(part.number)
    run = bench.run(part)
    waiting = run.go_on(part.number, bench.notes, until)
    said, phase = bench.notes.heard, _OF_WORKERS[until]
    if waiting is None:  # also what was done before
        said = said._replace(done={phase: run.size_of(part.number, until)})
    return None if waiting is None else waiting.what, said


@dataclass
class RayRanker(VectorRanker):
    """Ranks by the vectors of an encoder that the workers of a Ray cluster hold, with the ranks of a single run.

    Attributes:
        encoder: what is known of the encoder; it cannot encode.
        workers: that hold the encoder.
        facts: what vectors depend on.
        measures: whether it counts tokens, which is a pass of its own.
        keeps: whether its vectors may be kept in the embedding store.
        symmetric: whether it encodes queries and candidates alike.
        select: which part of the tasks is ranked, and where it is: the workers read it themselves.
        exchange: where shards exchange files; None: below the folder of the store, which is right on one machine.
        kept_in: where they do, once they have begun; what is done is kept there until the run has succeeded.
    """

    workers: RayWorkers = field(kw_only=True)
    facts: dict[str, str] = field(kw_only=True)
    measures: bool = field(kw_only=True)
    keeps: bool = field(kw_only=True)
    symmetric: bool = field(kw_only=True)
    select: Selection = field(kw_only=True, default=Selection())
    exchange: str | None = field(kw_only=True, default=None)
    kept_in: str | None = field(kw_only=True, default=None, init=False)

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Have all shards of all tasks done, then add up what they counted.

        Raises:
            XqrBenchError: whatever is wrong with the encoder, its vectors, the folder or the cluster.
        """
        refuse_undealt(self, ENGINE)
        with self._folder(tasks) as folder:
            self._do(tasks, folder, observe)
            merged = MergedRanker(folder)
            self.encoder.identity = merged.identity
            yield from merged.rank(tasks, observe)

    @contextmanager
    def _folder(self, tasks: Sequence[Task]) -> Iterator[SharedFolder]:
        """The folder of this run, removed when it has succeeded."""
        if self.exchange is None and self.store is None:
            with tempfile.TemporaryDirectory(prefix="xqr-") as temporary:
                yield SharedFolder(temporary)
            return
        said = [self.facts, [task_facts(task) for task in tasks], self.settings, self.store is None]
        name = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]
        place = self.exchange
        if place is None:
            assert self.store is not None
            place = str(self.store.folder / "runs")
        folder = SharedFolder(f"{place.rstrip('/')}/{name}" if is_url(place) else Path(place).absolute() / name)
        self.kept_in = folder.name
        yield folder
        folder.clear()

    @property
    def _goes_on_from_store(self) -> bool:
        """Whether all that was encoded is in the store: then the folder of the run is in it, which all workers see."""
        return self.keeps and self.store is not None and self.exchange is None

    def _parts(self, tasks: Sequence[Task], folder: SharedFolder) -> list[_Part]:
        """All shards; as many as a run that did not end had begun, where only its files have what it has encoded."""
        begun = _begun(folder.names())
        if begun is not None and self._goes_on_from_store and len(_encoded(folder.names())) < begun:
            folder.clear()  # planned anew, in as many shards as there are workers for now
            begun = None
        of = begun or SHARDS_A_WORKER * self.workers.number
        hello = folder.read(_HELLO).decode() if _HELLO in folder.names() else uuid4().hex
        folder.write(_HELLO, [hello.encode()])
        settings = tuple(
            (name, getattr(self, name)) for name in ("allow_zero_vectors", "memory", "score_device", "store")
        )
        specs = tuple(task.spec for task in tasks)
        return [_Part(at, of, folder.name, hello, specs, self.select, settings) for at in range(1, of + 1)]

    def _texts(self, tasks: Sequence[Task]) -> int:
        """How many texts are encoded: those that differ, as the encoder is given them; of vectors made before, all."""
        datas = [in_context(task.data, self.identity.candidate_context) for task in tasks]
        roles = [ROLES] if self.symmetric else [(role,) for role in ROLES]
        of_roles = [[item.text for data in datas for role in one for item in items_of(data, role)] for one in roles]
        return sum(map(len, of_roles if self.identity.kind == "precomputed" else map(set, of_roles)))

    def _do(self, tasks: Sequence[Task], folder: SharedFolder, observe: Observer) -> None:
        """Have all shards do each pass, then again and again what they can, until they see the files of all others."""
        parts = self._parts(tasks, folder)
        self.workers.observe = observe
        passes = [what for what in PASSES if what != MEASURED or self.measures]
        until = chain(passes, repeat(COUNTED))  # so that none encodes while the others wait for it
        phases = chain(map(_PHASES.__getitem__, passes), repeat("waiting for files"))
        texts, queries = self._texts(tasks), sum(len(task.data.queries) for task in tasks)
        since, before = time.monotonic(), None
        while parts:
            waiting: dict[int, str] = {}
            what = next(until)
            total, of = (texts, 1) if what in (MEASURED, ENCODED) else (queries, parts[0].of)
            shown = _Shown(observe, _OF_WORKERS[what], total, of)
            with observe.phase(next(phases), total):
                done = self.workers.map(partial(_go_on, until=what), parts, _named, shown.hear)
                for at, (waits_for, said) in done:
                    shown.hear(said)
                    if waits_for is not None:
                        waiting[parts[at].number] = waits_for
            if what != COUNTED:
                continue
            if waiting != before:
                since, before = time.monotonic(), waiting
            elif time.monotonic() - since > _UNSEEN:
                raise EngineError(
                    f"files that some workers have written in {folder.name} are not seen by others",
                    found=f"{len(waiting):,} of {parts[0].of:,} shards wait for files",
                    remedy="name a place that all machines share: --exchange FOLDER, or a URL such as s3://bucket/folder",
                )
            else:
                time.sleep(1.0)  # file systems of networks show new files late
            parts = [part for part in parts if part.number in waiting]


def _named(part: _Part) -> str:
    return f"shard {part.number:,} of {part.of:,}"


def _encoded(names: set[str]) -> set[int]:
    """The shards whose vectors are there."""
    return {number for number, _, what in shard_files(names).values() if what == ENCODED}


def _begun(names: set[str]) -> int | None:
    """In how many shards a run was begun whose files are there; None: there are none."""
    of_files = {of for _, of, _ in shard_files(names).values()}
    of_pieces = {int(one["of"]) for name in names if (one := _PIECE.match(name)) is not None}
    return max(of_files | of_pieces, default=None)


@contextmanager
def ray_ranker(
    model: str,
    options: EncoderOptions | None,
    ray: RayOptions,
    *,
    exchange: str | None = None,
    observe: Observer | None = None,
) -> Iterator[RayRanker]:
    """The encoder that MODEL names, loaded by workers of a Ray cluster for as long as the block lasts.

    Args:
        model: as on the command line; its files are where the workers find them too.
        options: how to load and use the encoder; devices that are named have a worker each (see `one_worker_each`).
        ray: the cluster, and its workers.
        exchange: see `RayRanker`.
        observe: is told what happens to the workers.

    Raises:
        EngineError: Ray is not installed, the cluster cannot be reached or has no room, or a worker cannot load the
            encoder.
        UsageError: devices that are named cannot have a worker each.
    """
    if options is not None:
        ray, device = one_worker_each(ray, options.device)
        options = replace(options, device=device)
    make = partial(_Bench, model, options, os.environ.get(_DATA))
    with ray_workers(ray, make, observe or Observer()) as workers:
        ((_, said),) = workers.map(_describe, [None], lambda _: "what the encoder is")
        encoder = BoundEncoder(said.identity, name=said.name, device=said.device)
        encoder.hint, encoder.source, encoder.options = said.hint, said.source, said.options
        yield RayRanker(
            encoder,
            workers=workers,
            facts=said.facts,
            measures=said.measures,
            keeps=said.keeps,
            symmetric=said.symmetric,
            exchange=exchange,
        )
