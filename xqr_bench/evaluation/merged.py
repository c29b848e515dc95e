"""The shards of a run put together: their counts added up, as a ranker whose records are those of a single run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.folder import SharedFolder
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import Ranks
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.providers import EndpointUse
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.ranker import Ranking, Task
from xqr_bench.evaluation.shard_facts import refuse_other_numbers, task_facts
from xqr_bench.evaluation.shard_files import (
    COUNTED,
    ENCODED,
    FOUND,
    MEASURED,
    PASSES,
    PLANNED,
    About,
    arrays_below,
    read_about,
    read_shard_file,
    refuse_copies,
    refuse_foreign,
    shard_file,
    shard_files,
)
from xqr_bench.evaluation.shard_vectors import columns_of
from xqr_bench.rank.parts import pools_of, rank_by_parts
from xqr_bench.rank.rules import Tally
from xqr_bench.record import LanguageDiagnostics, Result, TextCounts
from xqr_bench.record.describe import representation_warnings, truncation_warnings
from xqr_bench.record.exposure import Exposure
from xqr_bench.tasks import Selection, TaskSpec, resolve_task

ELSEWHERE = "the shards were not all made alike ({what}: {values}): near ties may stand otherwise than in a single run"


class MergedRanker:
    """Ranks by what the shards of a run have counted (see `ShardedRun`); needs neither the encoder nor its vectors.

    Args:
        folder: where the shards are; a folder, or a URL that fsspec knows.

    Attributes:
        name, identity, device: those of the encoder.
        settings: what it was asked to do.
        said: what the first shard was asked: `tasks`, `asked` and `arguments`.

    Raises:
        RecordError: there are no shards, one is missing, there twice, damaged or of another run, or was made from
            others than those that are there.
    """

    def __init__(self, folder: SharedFolder | str | Path) -> None:
        self.folder = folder if isinstance(folder, SharedFolder) else SharedFolder(folder)
        names = self.folder.names()
        files = shard_files(names)
        if not files:
            raise RecordError(
                f"there are no shards in {self.folder.name}",
                remedy="name the folder that `xqr-bench evaluate MODEL --shard 1/2 --output FOLDER` was given",
            )
        self._of = Counter(of for _, of, _ in files.values()).most_common(1)[0][0]
        refuse_copies(self.folder, names)
        refuse_other_numbers(self.folder, files, self._of)
        self._refuse_unfinished(files)
        self._abouts = {what: self._read(what) for what in reversed(self._passes(files))}
        self._check_sources()
        first = self._abouts[COUNTED][0].made["said"]
        self.said: Mapping[str, Any] = first
        self.name: str = first["model"]
        self.settings: Mapping[str, Any] = first["settings"]
        columns_of(self._abouts[ENCODED])
        self.identity = self._identity()
        self.device: str | None = None

    @staticmethod
    def _passes(files: Mapping[str, tuple[int, int, str]]) -> tuple[str, ...]:
        """What every shard does; an encoder that does not count tokens needs one pass less."""
        there = {what for _, _, what in files.values()}
        return tuple(what for what in PASSES if what != MEASURED or what in there)

    def _refuse_unfinished(self, files: Mapping[str, tuple[int, int, str]]) -> None:
        """Check that all shards have done all passes."""
        passes = self._passes(files)
        unfinished: dict[str, list[int]] = {}
        for number in range(1, self._of + 1):
            there = [what for what in passes if shard_file(number, self._of, what) in files]
            if len(there) < len(passes):
                unfinished.setdefault(", ".join(there), []).append(number)
        if unfinished:
            said = [
                f"shard{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} "
                + (f"left only {there}" if there else "left nothing")
                for there, numbers in unfinished.items()
            ]
            first = min(min(numbers) for numbers in unfinished.values())
            raise RecordError(
                f"the run in {self.folder.name} is not finished: of {self._of} shards, {'; '.join(said)}",
                remedy=f"run them (again): xqr-bench evaluate MODEL --shard {first}/{self._of} --output "
                f"{self.folder.name}, with the model, tasks and options of the others",
            )

    def _read(self, what: str) -> list[About]:
        """What the files of a pass say of themselves; all are of one run."""
        abouts = [read_about(self.folder, shard_file(number, self._of, what)) for number in range(1, self._of + 1)]
        facts = _most_common([about.facts for about in abouts])
        for about in abouts:
            refuse_foreign(self.folder, about.name, about, facts)
        return abouts

    def _check_sources(self) -> None:
        refuse_foreign(
            self.folder, self._abouts[ENCODED][0].name, self._abouts[ENCODED][0], self._abouts[COUNTED][0].facts
        )
        for what, before in ((ENCODED, MEASURED), (FOUND, ENCODED), (COUNTED, FOUND)):
            now = {about.name: about.sum for about in self._abouts.get(before, ())}
            if what == ENCODED and PLANNED in self.folder.names():
                now[PLANNED] = read_about(self.folder, PLANNED).sum
            for about in self._abouts[what]:
                changed = sorted({name for name, _ in now.items() ^ about.sources.items()})
                if changed:
                    which = f"another {changed[0]} than the one there" if changed[0] in now else "a file that is gone"
                    raise RecordError(
                        f"{self.folder.place_of(about.name)} was made from {which}",
                        found=None if changed[0] in now else changed[0],
                        remedy=f"run shard {about.number} of {self._of} again: it does what has to be done anew",
                    )

    def _identity(self) -> ModelIdentity:
        """That of the encoder, with what was learnt while it encoded."""
        encoded = [
            about for about in self._abouts[ENCODED] if any(one["rows"] for one in about.made["groups"].values())
        ]
        identities = [
            ModelIdentity.model_validate(about.made["identity"]) for about in encoded or self._abouts[ENCODED]
        ]
        for about, identity in zip(encoded, identities, strict=False):
            if identity != identities[0]:
                raise RecordError(
                    f"{self.folder.place_of(about.name)} is of another encoder than {encoded[0].name}",
                    found=f"{identity.dtype}, {identity.dimensions} columns; {identities[0].dtype}, "
                    f"{identities[0].dimensions} columns",
                    remedy="remove it, and run its shard again",
                )
        return identities[0]

    def specs(self, named: Sequence[str] = ()) -> list[TaskSpec]:
        """The tasks of the run, with the metrics and rules of relevance that the shards were asked for.

        Args:
            named: the tasks, where they are not found under the names that the shards were given.

        Raises:
            UsageError: there are more or fewer of them than the run has.
            RecordError: the shards were asked for different ones.
            XqrBenchError: a task cannot be read.
        """
        self._refuse_other_metrics()
        tasks, scored = list(named) or self.said["tasks"], self.said["specs"]
        if len(tasks) != len(scored):
            raise UsageError(
                f"the shards are of {len(scored)} tasks, not of {len(tasks)}", remedy="name all of them, or none"
            )
        return [
            resolve_task(one).model_copy(update={name: tuple(values) for name, values in of_task.items()})
            for one, of_task in zip(tasks, scored, strict=True)
        ]

    def _refuse_other_metrics(self) -> None:
        """Check that all shards were asked for the same metrics, on which the record depends and counts do not."""
        first, *others = self._abouts[COUNTED]
        for about in others:
            for one, other in zip(first.made["said"]["specs"], about.made["said"]["specs"], strict=True):
                if one["metrics"] != other["metrics"]:
                    raise RecordError(
                        f"the shards in {self.folder.name} were asked for different metrics",
                        found="; ".join(
                            f"{', '.join(said['metrics'])} in {name}"
                            for said, name in ((one, first.name), (other, about.name))
                        ),
                        remedy="remove the .counted file of each shard that was asked for the wrong ones, and run that "
                        "shard again with the right --metrics: it counts again, and nothing else",
                    )

    def select(self, data_dir: Path | str | None = None) -> Selection:
        """The part of the tasks that the shards were asked for; data is read where they had it, or in a folder."""
        asked = self.said["asked"]
        return Selection(
            languages=asked.get("languages"), limit=asked.get("limit"), data_dir=data_dir or asked.get("data_dir")
        )

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Add up the counts of each task.

        Raises:
            RecordError: a task is not one of the run, or its data are others.
        """
        places = [self._place(task) for task in tasks]  # before anything is read
        for task, at in zip(tasks, places, strict=True):
            clock = Clock(self._seconds())
            with clock.phase("merging"):
                ranks = self._ranks(task, at, observe)
            told = [about.made["tasks"][at] for about in self._abouts[COUNTED]]
            of_codes = {code: one for of_shard in told for code, one in of_shard["diagnostics"].items()}
            diagnostics = {code: LanguageDiagnostics.model_validate(of_codes[code]) for code in task.data.all_languages}
            facts = dict(told[0]["facts"])
            if "exposure" in facts:
                facts["exposure"] = Exposure.model_validate(facts["exposure"])
            yield Ranking(
                ranks,
                warnings=(
                    *told[0]["warnings"],
                    *truncation_warnings(diagnostics),
                    *representation_warnings(diagnostics),
                    *self._elsewhere(at),
                ),
                diagnostics=diagnostics,
                facts=facts,
                settings={**self.said["asked"], **self.settings, "shards": self._of},
                seconds=clock.seconds,
                texts=TextCounts(distinct=told[0]["distinct"], from_store=told[0]["stored"]),
                usage=self._usage(),
                counted_on=", ".join(self._counted_on(at)),
            )

    def _place(self, task: Task) -> int:
        """Which task of the run it is."""
        facts, said = self._abouts[COUNTED][0].facts, task_facts(task)
        names = facts["tasks"].split(", ")
        if task.spec.name not in names:
            raise RecordError(
                f"the shards in {self.folder.name} are not of {task.spec.name}",
                found=", ".join(names),
                remedy="name the tasks that they were given",
            )
        other = [
            f"{key}: {facts.get(key)!s:.80} there, {value!s:.80} here"
            for key, value in said.items()
            if facts.get(key) != value
        ]
        if other:
            raise RecordError(
                f"the task {task.spec.name} is another here than that of the shards in {self.folder.name}",
                found="; ".join(other[:3]),
                remedy="read the data that they had: --data-dir",
            )
        return names.index(task.spec.name)

    def _ranks(self, task: Task, at: int, observe: Observer) -> Ranks:
        pools = pools_of(task.data, task.spec.settings)
        tallies = [Tally(pool.data) for pool in pools]
        for tally in tallies:
            tally.begin_finding()
        with observe.phase("merging", 2 * self._of):
            for what in (FOUND, COUNTED):
                for about in self._abouts[what]:
                    said, arrays = read_shard_file(self.folder, about.name)
                    if said.sum != about.sum:
                        raise RecordError(
                            f"{self.folder.place_of(about.name)} has changed while it was read", remedy="merge again"
                        )
                    for number, tally in enumerate(tallies):
                        take = tally.take_found if what == FOUND else tally.take_counted
                        take(arrays_below(arrays, f"{at}.{number}"))
                    observe.advance(1)
                for tally in tallies:
                    tally.refuse_unfound()
        of_pools = iter(tallies)
        return rank_by_parts(task.data, task.spec.settings, lambda *_: next(of_pools).ranks())

    def _seconds(self) -> dict[str, float]:
        """Of each phase, all shards together."""
        total: Counter[str] = Counter()
        for abouts in self._abouts.values():
            for about in abouts:
                total.update(about.made["seconds"])
        return {name: round(seconds, 6) for name, seconds in total.items()}

    def _usage(self) -> EndpointUse | None:
        uses = [about.made["usage"] for about in self._abouts[ENCODED] if about.made["usage"] is not None]
        if not uses:
            return None
        added: dict[str, Any] = {}
        for key in uses[0]:
            values = [use[key] for use in uses]
            added[key] = None if None in values else sum(values)
        return EndpointUse.model_validate({**added, "price_per_million_tokens": uses[0]["price_per_million_tokens"]})

    def _machines(self, what: str) -> list[str]:
        """What the shards say of their machines, each value once."""
        abouts = [about for abouts in self._abouts.values() for about in abouts]
        return list(dict.fromkeys(about.made["machine"][what] for about in abouts))

    def _counted_on(self, at: int) -> list[str]:
        """Where a task was counted, each device once."""
        abouts = [*self._abouts[FOUND], *self._abouts[COUNTED]]
        return list(dict.fromkeys(about.made["counted_on"][at] for about in abouts))

    def _elsewhere(self, at: int) -> list[str]:
        """A warning for each thing that decides last bits of a task and was not the same for all shards."""
        of_machines = {what: self._machines(what) for what in self._abouts[COUNTED][0].made["machine"]}
        return [
            ELSEWHERE.format(what=what, values="; ".join(values))
            for what, values in {**of_machines, "counted on": self._counted_on(at)}.items()
            if len(values) > 1
        ]


def _most_common(facts: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """The facts that most shards have."""
    names = [tuple(sorted(one.items())) for one in facts]
    return facts[names.index(Counter(names).most_common(1)[0][0])]


def merge_shards(
    folder: SharedFolder | str | Path,
    tasks: Sequence[str | Path | TaskSpec | Task] = (),
    *,
    data_dir: Path | str | None = None,
    observe: Observer | None = None,
) -> list[Result]:
    """The records of a run in shards, one for each task, with their ranks: those of a single run.

    Args:
        folder: where the shards are; a folder, or a URL that fsspec knows.
        tasks: those of the run, as `evaluate` takes them; default: as the first shard was given them.
        data_dir: where the data is; default: where the first shard had it.
        observe: hears how far the work is.

    Raises:
        RecordError: a shard is missing, there twice, damaged or of another run; see `MergedRanker`.
    """
    merged = MergedRanker(folder)
    return evaluate(
        merged,
        tasks or merged.specs(),
        select=merged.select(data_dir),
        observe=observe,
        arguments=merged.said["arguments"],
    )
