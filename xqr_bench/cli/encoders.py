"""`xqr-bench encoders`: what MODEL can be."""

from __future__ import annotations

import json

import click

from xqr_bench.cli.printing import echo, echo_json, table_console

UNBROKEN = "\u2011"
"""A hyphen that no line ends with: names are copied."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def encoders(as_json: bool) -> None:
    """List the kinds of encoder MODEL can name, the built-in ones and the installed plugins; and other rankers."""
    from xqr_bench.encode import ENCODER_KINDS, ENCODERS
    from xqr_bench.evaluation.evaluate import described_rankers

    kinds, names, rankers = ENCODER_KINDS, ENCODERS.origins(), described_rankers()
    if as_json:
        forms = [{"form": kind.form, "description": kind.description, "example": kind.example} for kind in kinds]
        echo_json(json.dumps({"kinds": forms, "names": names, "rankers": rankers}, ensure_ascii=False, indent=2))
        return
    formatter = click.HelpFormatter(width=min(table_console().width, 100))
    with formatter.section("MODEL is, in the order in which it is tried"):
        formatter.write_dl(
            [(kind.form, f"{kind.description}; e.g. {kind.example}".replace("-", UNBROKEN)) for kind in kinds]
        )
    with formatter.section("Names"):
        formatter.write_dl(list(names.items()))
    with formatter.section("Rankings without an encoder, for `xqr-bench evaluate`"):
        formatter.write_dl(list(rankers.items()))
    echo(formatter.getvalue().replace(UNBROKEN, "-"), nl=False)
