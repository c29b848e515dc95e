"""What the commands that make records share: which tasks are to do, scoring, saving and printing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xqr_bench.cli.options import Records, TrecRun
from xqr_bench.cli.printing import console, echo, echo_json, table_console
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from xqr_bench.evaluation.ranker import Ranker, Rehearsing
    from xqr_bench.record import Record, Result
    from xqr_bench.tasks import Selection, TaskSpec


@contextmanager
def if_stopped(how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C in this block is told with what was kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(how_to_go_on())
        raise


class Session:
    """One run of a command that makes records.

    Args:
        asked: which records; may have the options of `TrecRun` too.
        select: which part of the tasks is scored.
        specs: the tasks as they are scored; default: those that are asked for.

    Raises:
        UsageError: two tasks of one name, a metric that is none, or settings of a run that is not written.
        XqrBenchError: a task that cannot be found or read.
    """

    def __init__(self, asked: Records, select: Selection, specs: Sequence[TaskSpec] | None = None) -> None:
        from xqr_bench.evaluation.evaluate import choose_metrics

        self._asked, self.select = asked, select
        self._trec = asked if isinstance(asked, TrecRun) else TrecRun()
        self._more = self._trec.trec_run is not None or getattr(asked, "save_index", None) is not None
        self.quiet = asked.quiet
        self.kept: list[str] = []
        self._before: dict[Path, Result] = {}
        self.specs = [choose_metrics(spec, asked.metrics) for spec in (asked.specs() if specs is None else specs)]
        if asked.no_relevance:
            self.specs = [spec.model_copy(update={"relevance": ()}) for spec in self.specs]
        _refuse_same_names(self.specs)
        if self._trec.trec_settings is not None and self._trec.trec_run is None:
            raise UsageError("--trec-settings is given without --trec-run", remedy="name the folder: --trec-run DIR")

    @cached_property
    def _console(self) -> Console:
        return console(err=True, quiet=self.quiet)

    def say(self, line: str) -> None:
        """Print a line on standard error, unless --quiet."""
        self._console.print(line, soft_wrap=True)

    def _split(self, ranker: Ranker) -> tuple[list[TaskSpec], list[Result]]:
        """The tasks to rank, and the records that answer what is asked already.

        What is asked is checked before anything is encoded: languages, that no record of another request stands where
        one is to be written, and that one can be written there. Where a run or an index is asked for too,
        or everything anew, nothing is answered by a record. Nor is it for code without a `revision`, which may read
        files that have changed: it ranks again, and the record answers if the ranks are the same.

        Raises:
            RecordError: there is a record of another request.
            XqrBenchError: what is asked cannot be meant, or a record cannot be written.
        """
        from xqr_bench.core.files import refuse_unwritable
        from xqr_bench.evaluation.evaluate import answered
        from xqr_bench.evaluation.ranker import Task
        from xqr_bench.record import record_path

        self.show_licences(self.specs)
        todo, there = [], []
        for spec in self.specs:
            path = record_path(self._asked.output, ranker.name, spec.name)
            if not self._asked.overwrite and path.exists():
                record = answered(path, ranker, Task(spec, self.select.load(spec)))
                changing = [one.name for one in ranker.identity.models if one.kind == "python" and one.revision is None]
                if record is not None and changing:
                    who = ranker.name if len(ranker.identity.models) == 1 else " and ".join(changing)
                    self.say(f"{path} is there already; {who} has no `revision`, so its ranks are compared")
                    self._before[path] = record
                elif record is not None and not self._more:
                    self._say_answered(path)
                    there.append(record)
                    continue
            if path not in self._before or self._more:
                refuse_unwritable(path)
            todo.append(spec)
        return todo, there

    def _say_answered(self, path: Path) -> None:
        self.say(f"{path} is there already and answers this (--overwrite evaluates again)")

    def show_licences(self, specs: Sequence[TaskSpec]) -> None:
        """Tell the licence of what is about to be downloaded."""
        from xqr_bench.tasks import pending_downloads

        for spec in specs:
            if spec.licence is not None and pending_downloads(spec, self.select.data_dir):
                self.say(f"downloading {spec.title}: licence {spec.licence.name} ({spec.licence.url})")

    def rehearse(self, ranker: Rehearsing) -> None:
        """Check data and encoder on a few texts, and tell what a run would do."""
        from xqr_bench.cli.progress import RunProgress

        self.show_licences(self.specs)
        with RunProgress(quiet=self.quiet) as observe:
            plans = ranker.rehearse(self.specs, self.select, observe)
        echo("\n".join([*plans, "dry run: nothing was written"]))

    def evaluate(self, ranker: Ranker, arguments: Mapping[str, Any]) -> None:
        """Make the records, see `records`, and print all."""
        with if_stopped(partial(self._how_to_go_on, ranker)):
            records = self.records(ranker, arguments)
        self.show(records)

    def records(self, ranker: Ranker, arguments: Mapping[str, Any]) -> list[Result]:
        """Score the tasks that have no record yet, and save each record when its task is done.

        Args:
            ranker: what ranks; with `--trec-run` its scores are written too.
            arguments: as the user gave them.

        Returns:
            the record of each task, in order.
        """
        from xqr_bench.cli.progress import RunProgress
        from xqr_bench.evaluation.evaluate import evaluate
        from xqr_bench.evaluation.ranker import HandedOn
        from xqr_bench.evaluation.ray_ranker import RayRanker
        from xqr_bench.rank.runs import RunWriter, check_settings

        trec = self._trec
        todo, records = self._split(ranker)
        if todo:
            with RunProgress(quiet=self.quiet, keep=self.save) as observe:
                if trec.trec_run is not None:
                    settings = {spec.name: check_settings(trec.trec_settings, spec) for spec in todo}
                    write = RunWriter(trec.trec_run, ranker.name, trec.trec_depth, settings, observe)
                    ranker = HandedOn(ranker, write, write.check)
                if isinstance(ranker, RayRanker):
                    ranker.select = self.select  # its workers read the tasks themselves
                records += evaluate(
                    ranker,
                    todo,
                    select=self.select,
                    metrics=self._asked.metrics,
                    observe=observe,
                    arguments=arguments,
                )
        order = [spec.name for spec in self.specs]
        return sorted(records, key=lambda record: order.index(record.task.name))

    def _how_to_go_on(self, ranker: Ranker) -> str:
        from xqr_bench.encode.bound import TextEncoder
        from xqr_bench.encode.store import kept_files
        from xqr_bench.evaluation.cross_encoder import CrossEncoderRanker
        from xqr_bench.evaluation.ranker import stages_of
        from xqr_bench.evaluation.ray_ranker import RayRanker
        from xqr_bench.evaluation.vectors import VectorRanker

        kept = [f"records: {', '.join(self.kept)}"] if self.kept else []
        for one in stages_of(ranker):
            store, encoder = (one.store, one.encoder) if isinstance(one, VectorRanker) else (None, None)
            if store is not None and isinstance(encoder, TextEncoder) and kept_files(store, encoder):
                kept.append("the vectors in the embedding store")
            if isinstance(one, RayRanker) and one.kept_in is not None:
                kept.append(f"what the workers have done, in {one.kept_in}")
            if isinstance(one, CrossEncoderRanker) and one.model.kept:
                kept.append(f"{one.model.kept:,} scores of {one.name}")
        if not kept:
            return "nothing half-written was left; no task was done: the same command begins again"
        return f"kept are {' and '.join(dict.fromkeys(kept))}; the same command goes on"

    def _path(self, record: Result) -> Path:
        from xqr_bench.record import record_path

        return record_path(self._asked.output, record.model.name, record.task.name)

    def save(self, record: Result) -> None:
        """Write a record and its ranks, unless one of the same ranks is there.

        Raises:
            RecordError: the record that is there has other ranks, though the encoder's source is the same.
        """
        from xqr_bench.evaluation.evaluate import REPLACE, refuse_another
        from xqr_bench.record import save_record

        path = self._path(record)
        before = self._before.get(path)
        if before is not None:
            was, now = (str(one.ranks_file.digest) for one in (before, record))
            refuse_another(path, {"the digest of the ranks, of a source that is the same": (was, now)}, REPLACE)
            if not self._more:
                self._say_answered(path)
                return
        self.kept.append(str(save_record(record, path)))
        texts = record.provenance.texts
        if texts is not None and texts.from_store:
            self.say(f"{record.task.name}: {texts.from_store:,} of {texts.distinct:,} texts came from the store")
        if (asked := record.provenance.endpoint) is not None:
            self.say(f"{record.task.name}: {asked.summary}")

    def show(self, records: Sequence[Result]) -> None:
        """Print the records, which are saved, as the options say."""
        paths = [self._path(record) for record in records]
        if self._asked.as_json:
            echo_json("[" + ",\n".join(path.read_text(encoding="utf-8") for path in paths) + "]")
        elif self.quiet:
            for path in paths:
                echo(str(path))
        elif records:
            print_records(records, paths, full=self._asked.full)


def print_records(records: Sequence[Record], paths: Sequence[Path], *, full: bool) -> None:
    """Print records of one encoder for people, and where they are: a screen each, or all measures."""
    from xqr_bench.report import brief, results

    console = table_console()
    if full:
        console.print(results.results(records, min(console.width, results.WIDTH)))
    for number, (record, path) in enumerate(zip(records, paths, strict=True)):
        if not full:
            console.print(*[""] * (number > 0), brief.brief(record, min(console.width, brief.WIDTH)), sep="\n")
        echo(f"record: {path}")


def _refuse_same_names(specs: Sequence[TaskSpec]) -> None:
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two tasks have the name {twice[0]!r}", remedy="give one of the task files another name")


def beside_package(path: Path) -> Path:
    """A file of the repository: in the checkout that the package stands in, else below the working folder."""
    import xqr_bench

    beside = Path(xqr_bench.__file__).resolve().parent.parent / path
    return beside if beside.is_file() else path


def study_plan(given: Path | None, name: str = "ratio-study-plan.md") -> Path:
    """The plan of a study: as given, that of the checkout, or the same file as the wheel holds it."""
    import xqr_bench

    packed = Path(xqr_bench.__file__).resolve().parent / "studies" / "ratio" / name
    return given or (packed if packed.is_file() else beside_package(Path("docs") / name))
