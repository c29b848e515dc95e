"""`xqr-bench geometry`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.cache import cache_options, chosen_store
from xqr_bench.cli.common import limit_option, split
from xqr_bench.cli.evaluate import encoder_options, options_of
from xqr_bench.cli.options import chosen_transform, transform_options
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.errors import UsageError


@click.command(short_help="How an encoder's vectors lie: alignment, hubs, language in the vector.")
@click.argument("model")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    default=("mini",),
    show_default=True,
    help="Name of a task or path of a task file; repeat for more.",
)
@click.option(
    "--data-dir", type=click.Path(), help="Folder with the data files. Default: XQR_BENCH_DATA, or the cache."
)
@click.option("--languages", help="Only these, separated by commas.")
@limit_option("Only the first so many questions.")
@click.option("--allow-zero-vectors", is_flag=True, help="Leave zero vectors aside instead of refusing them.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, shares of languages by language too.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables in Markdown.")
@click.option("--output", type=click.Path(), metavar="FILE", help="Also write the JSON there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@transform_options
@cache_options
@encoder_options
def geometry(model: str, **options: Any) -> None:
    """Measure how the vectors of the encoder MODEL lie: what explains the figures of bias.

    Alignment and uniformity of translated queries, isotropy, hubs, and whether a linear probe can read the language
    off a vector. With --transform, before and after. MODEL is as for `xqr-bench evaluate`; no record is written.
    """
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.core.files import write_text
    from xqr_bench.encode import load_encoder
    from xqr_bench.measure.geometry import geometry_of_tasks
    from xqr_bench.report.geometry import geometry_json, geometry_tables
    from xqr_bench.tasks import Selection, resolve_task

    if options["as_json"] and options["as_markdown"]:
        raise UsageError("--json and --markdown exclude each other", remedy="give one of them")
    transform, store = chosen_transform(options), chosen_store(options)
    specs = [resolve_task(task) for task in dict.fromkeys(options["tasks"])]
    encoder = load_encoder(model, options_of(options))
    try:
        with RunProgress(quiet=options["quiet"]) as observe:
            found = geometry_of_tasks(
                encoder,
                specs,
                transform=transform,
                select=Selection(split(options["languages"]), options["limit"], options["data_dir"]),
                allow_zero_vectors=options["allow_zero_vectors"],
                store=store,
                observe=observe,
            )
    finally:
        encoder.close()
    if options["as_json"]:
        echo_json(geometry_json(found))
    else:
        tables = [table for panels in found for table in geometry_tables(panels)]
        echo_tables(tables, markdown=options["as_markdown"])
    if options["output"] is not None:
        write_text(Path(options["output"]), geometry_json(found) + "\n")
        echo(f"geometry: {options['output']}", err=True)
