"""What the commands that make records share: which tasks are to do, scoring, saving and printing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xqr_bench.cli.options import Records, TrecRun
from xqr_bench.cli.printing import console, echo, echo_json, table_console
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from xqr_bench.encode import BoundEncoder, ModelIdentity
    from xqr_bench.evaluation.ranker import Ranker
    from xqr_bench.record import Result
    from xqr_bench.tasks import Selection, TaskSpec


class Session:
    """One run of a command that makes records.

    Args:
        asked: which records; may have the options of `TrecRun` too.
        select: which part of the tasks is scored.

    Raises:
        UsageError: two tasks of one name.
        XqrBenchError: a task that cannot be found or read.
    """

    def __init__(self, asked: Records, select: Selection) -> None:
        self._asked, self.select = asked, select
        self._trec = asked if isinstance(asked, TrecRun) else TrecRun()
        self.quiet = asked.quiet
        self.specs = asked.specs()
        if asked.no_relevance:
            self.specs = [spec.model_copy(update={"relevance": ()}) for spec in self.specs]
        _refuse_same_names(self.specs)

    @cached_property
    def _console(self) -> Console:
        return console(err=True, quiet=self.quiet)

    def say(self, line: str) -> None:
        """Print a line on standard error, unless --quiet."""
        self._console.print(line, soft_wrap=True)

    def todo(self, name: str, identity: ModelIdentity) -> list[TaskSpec]:
        """The tasks that have no record yet (with --overwrite: all); tells of the others.

        Args:
            name: of the records.
            identity: of what is scored now.
        """
        from xqr_bench.record import record_path

        result = []
        for spec in self.specs:
            path = record_path(self._asked.output, name, spec.name)
            if path.exists() and not self._asked.overwrite:
                note = _other_model(path, identity)
                no_run = "; no run of it is written" if self._trec.trec_run else ""
                self.say(f"{path} exists already: skipped (--overwrite evaluates again){note}{no_run}")
            else:
                result.append(spec)
        self.show_licences(result)
        return result

    def show_licences(self, specs: Sequence[TaskSpec]) -> None:
        """Tell the licence of what is about to be downloaded."""
        from xqr_bench.tasks import pending_downloads

        for spec in specs:
            if spec.licence is not None and pending_downloads(spec, self.select.data_dir):
                self.say(f"downloading {spec.title}: licence {spec.licence.name} ({spec.licence.url})")

    def rehearse(self, encoder: BoundEncoder) -> None:
        """Check data and encoder on a few texts, and tell what a run would do."""
        from xqr_bench.cli.progress import RunProgress
        from xqr_bench.evaluation.vectors import rehearse

        self.show_licences(self.specs)
        with RunProgress(quiet=self.quiet) as observe:
            plans = rehearse(encoder, self.specs, self.select, observe)
        echo("\n".join([*plans, "dry run: nothing was written"]))

    def evaluate(self, ranker: Ranker, arguments: Mapping[str, Any]) -> bool:
        """Score the tasks that have no record yet, save and print their records; whether there were any.

        Args:
            ranker: what ranks; with `--trec-run` its scores are written too.
            arguments: as the user gave them.
        """
        from xqr_bench.cli.progress import RunProgress
        from xqr_bench.evaluation.evaluate import evaluate
        from xqr_bench.evaluation.ranker import HandedOn
        from xqr_bench.rank.runs import RunWriter, check_settings

        trec = self._trec
        if trec.trec_settings is not None and trec.trec_run is None:
            raise UsageError("--trec-settings is given without --trec-run", remedy="name the folder: --trec-run DIR")
        todo = self.todo(ranker.name, ranker.identity)
        records: list[Result] = []
        if todo:
            with RunProgress(quiet=self.quiet) as observe:
                if trec.trec_run is not None:
                    settings = {spec.name: check_settings(trec.trec_settings, spec) for spec in todo}
                    write = RunWriter(trec.trec_run, ranker.name, trec.trec_depth, settings, observe)
                    ranker = HandedOn(ranker, write)
                records = evaluate(
                    ranker,
                    todo,
                    select=self.select,
                    metrics=self._asked.metrics,
                    observe=observe,
                    arguments=arguments,
                )
        for record in records:
            texts = record.provenance.texts
            if texts is not None and texts.from_store:
                self.say(f"{record.task.name}: {texts.from_store:,} of {texts.distinct:,} texts came from the store")
        self.finish(ranker.name, records)
        return bool(todo)

    def finish(self, name: str, records: Sequence[Result]) -> None:
        """Save the records, and print them as the options say."""
        from xqr_bench.record import record_path, save_record

        output = self._asked.output
        paths = [save_record(record, record_path(output, name, record.task.name)) for record in records]
        if self._asked.as_json:
            echo_json("[" + ",\n".join(path.read_text(encoding="utf-8") for path in paths) + "]")
        elif self.quiet:
            for path in paths:
                echo(str(path))
        elif records:
            from xqr_bench.report.results import results

            table_console().print(results(records))
            for path in paths:
                echo(f"record: {path}")


def _refuse_same_names(specs: Sequence[TaskSpec]) -> None:
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two tasks have the name {twice[0]!r}", remedy="give one of the task files another name")


def _other_model(path: Path, identity: ModelIdentity) -> str:
    """What to add when the record that exists is of something else under the same name."""
    from xqr_bench.core.errors import RecordError
    from xqr_bench.record import load_record

    try:
        there = load_record(path).model.identity
    except RecordError:
        return "; it cannot be read"
    now = identity.model_copy(update={"dimensions": there.dimensions})
    changed = [name for name, value in there if value != getattr(now, name)]
    return f"; note that it was made with another {', '.join(changed)}" if changed else ""


def beside_package(path: Path) -> Path:
    """A file of the repository: in the checkout that the package stands in, else below the working folder."""
    import xqr_bench

    beside = Path(xqr_bench.__file__).resolve().parent.parent / path
    return beside if beside.is_file() else path
