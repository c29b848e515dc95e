"""What `evaluate --shard` does."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xqr_bench.cli.common import Session, if_stopped
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.cli.options import Records
    from xqr_bench.evaluation.ranker import Ranker

NOT_DONE = 75
"""The exit status of a shard that waits for others: to be tried again, as sysexits.h has it (EX_TEMPFAIL)."""


def share(text: str) -> tuple[int, int]:
    """Which shard, from 1, and of how many, of a text such as "2/3".

    Raises:
        ValueError: it is none.
    """
    number, slash, of = text.partition("/")
    if not slash or not (number.isdecimal() and of.isdecimal()) or not 1 <= int(number) <= int(of) <= 10**6:
        raise ValueError("write which of how many, from 1: --shard 1/3, --shard 2/3 and --shard 3/3")
    return int(number), int(of)


def patience(seconds: float) -> float:
    """How long to wait.

    Raises:
        ValueError: no such time can be waited.
    """
    if not 0 <= seconds < math.inf:
        raise ValueError("give a number of seconds from 0 on, such as 3600")
    return seconds


def do_shard(
    session: Session,
    ranker: Ranker,
    asked: Records,
    shard: tuple[int, int],
    wait: float | None,
    output: str,
    arguments: Mapping[str, Any],
) -> bool:
    """Do what can be done of a shard, and tell in a line what it waits for.

    Args:
        session: the tasks, and where is printed.
        ranker: what ranks.
        asked: the tasks and metrics as the user named them.
        shard: which shard, from 1, and of how many.
        wait: how many seconds to wait for others; None: not at all.
        output: the folder or URL where the shards are.
        arguments: as the user gave them.

    Returns:
        whether all of the shard is done.

    Raises:
        UsageError: the ranker's work cannot be dealt out, or nothing has come for as long as was to be waited.
        XqrBenchError: as `ShardedRun.go_on`.
    """
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation.ranker import Task
    from xqr_bench.evaluation.shard_files import COUNTED
    from xqr_bench.evaluation.shards import ShardedRun, refuse_undealt

    number, of = shard
    refuse_undealt(ranker)  # before anything is read
    session.show_licences(session.specs)
    kept = if_stopped(lambda: f"what was done is kept in {output}; the same command goes on")
    with kept, RunProgress(quiet=session.quiet) as observe:
        tasks = [Task(spec, session.select.load(spec, observe)) for spec in session.specs]
        run = ShardedRun(
            ranker,
            tasks,
            output,
            of,
            sources=list(dict.fromkeys(asked.tasks)),
            asked={**session.select.as_dict(), "metrics": None if asked.metrics is None else list(asked.metrics)},
            arguments=arguments,
        )
        waiting = run.wait(number, wait or 0.0, observe)
        left = run.missing(COUNTED)
    if waiting is not None and wait is not None:
        raise UsageError(
            f"shard {number} of {of} still {waiting}; nothing has come for {wait:g} seconds",
            remedy="run those, then the same command again",
        )
    merge = f"xqr-bench merge {shlex.quote(output)}"
    line = f"is done; when all are, {merge} makes the records" if left else f"is done; all are: {merge}"
    if waiting is not None:
        line = f"{waiting}: run the same command again then, or give --wait SECONDS"
        echo(f"shard {number} of {of} {line}", err=True)  # also with --quiet: it is not done
        return False
    session.say(f"shard {number} of {of} {line}")
    return True
