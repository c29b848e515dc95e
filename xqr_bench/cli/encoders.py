"""`xqr-bench encoders`: what MODEL can be."""

from __future__ import annotations

import json

import click

from xqr_bench.cli.printing import echo, echo_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def encoders(as_json: bool) -> None:
    """List the kinds of encoder MODEL can name, the built-in ones and the installed plugins."""
    from xqr_bench.encode import ENCODER_KINDS, registered_encoders

    kinds, names = ENCODER_KINDS, registered_encoders()
    if as_json:
        forms = [{"form": kind.form, "description": kind.description, "example": kind.example} for kind in kinds]
        echo_json(json.dumps({"kinds": forms, "names": names}, ensure_ascii=False, indent=2))
        return
    formatter = click.HelpFormatter(width=100)
    with formatter.section("MODEL is, in the order in which it is tried"):
        formatter.write_dl([(kind.form, f"{kind.description}; e.g. {kind.example}") for kind in kinds])
    with formatter.section("Names"):
        formatter.write_dl(list(names.items()))
    echo(formatter.getvalue(), nl=False)
