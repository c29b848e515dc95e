"""FAISS on the command line: the options of `evaluate`, and what they mean together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.data import TaskSpec
    from xqr_bench.search.index import IndexOptions


def index_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that rank through FAISS indices."""
    options = [
        click.option("--index", help="Rank through FAISS: flat (exact), hnsw, ivf or ivfpq. Default: no index, exact."),
        click.option(
            "--index-param",
            "index_params",
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter of the index, such as ef_search=64; repeat for more (docs/faiss.md lists them).",
        ),
        click.option("--depth", type=int, help="Hits kept of each language's list; default 1000, flat: all."),
        click.option(
            "--save-index",
            type=click.Path(),
            metavar="DIR",
            help="Save the indices and ids there, for `xqr-bench search DIR`.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_index(options: Mapping[str, Any]) -> IndexOptions | None:
    """The index that the options ask for, None when they ask for none.

    Raises:
        UsageError: options that contradict each other, or values that cannot be meant.
    """
    if options["index"] is None:
        given = {"--index-param": "index_params", "--depth": "depth", "--save-index": "save_index"}
        lone = [flag for flag, name in given.items() if options[name] not in (None, ())]
        if lone:
            raise UsageError(f"{lone[0]} is given without --index", remedy="say which index: --index flat")
        return None
    from xqr_bench.search.index import IndexOptions

    return IndexOptions.parse(options["index"], options["index_params"], options["depth"])


def check_index_options(specs: Sequence[TaskSpec], index: IndexOptions | None, options: Mapping[str, Any]) -> None:
    """Check before an encoder is loaded that the index serves the metrics of the tasks and can be saved.

    Raises:
        UsageError: a metric looks deeper than the index's lists, or the folder cannot hold the indices.
    """
    if index is None:
        return
    from pathlib import Path

    from xqr_bench.cli.common import split
    from xqr_bench.pipeline import check_index, choose_metrics

    folder = None if options["save_index"] is None else Path(options["save_index"])
    for spec in specs:
        check_index(index, [choose_metrics(spec, split(options["metrics"]))], folder, overwrite=options["overwrite"])
