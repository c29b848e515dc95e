"""`xqr-bench encoders`: what MODEL can be, and whether one does what is thought of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import click

from xqr_bench.cli.options import backend_option
from xqr_bench.cli.printing import echo, echo_json, table_console
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Sections, takes
from xqr_bench.encode.options import EncoderOptions

UNBROKEN = "\u2011"
"""A hyphen that no line ends with: names are copied."""


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@AS_JSON
@click.pass_context
def encoders(ctx: click.Context, as_json: bool) -> None:
    """List the kinds of encoder MODEL can name, the built-in ones and the installed plugins; and other rankers."""
    if ctx.invoked_subcommand is not None:
        return
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


FIRST = ["--query-prompt", "--candidate-prompt", "--device", "--batch-size", "--max-length"]
"""What most users need first."""


@encoders.command(cls=Sections, first=FIRST)
@click.argument("model")
@takes(encoder=EncoderOptions)
@AS_JSON
@click.option("--quiet", is_flag=True, help="Print the problems alone.")
@backend_option
def check(model: str, encoder: EncoderOptions, as_json: bool, quiet: bool) -> None:
    """Rehearse what a run would do with the encoder MODEL, on some texts of the embedded task and in more scripts.

    Prompts as they are sent, lengths of vectors, determinism, independence of batch and order, padding, truncation,
    empty texts, unknown tokens, speed, and what the record will say. Exit code 1 where scores would be wrong.
    """
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation.check import check_encoder
    from xqr_bench.report.listings import check_table

    if quiet and as_json:
        raise UsageError("--quiet and --json exclude each other", remedy="give one of them")
    with RunProgress(quiet=quiet or as_json) as observe:
        checked = check_encoder(model, encoder, observe=observe)
    if quiet:
        checked = replace(checked, findings=checked.problems)
    if as_json:
        whole = {**asdict(checked), "identity": checked.identity.model_dump(mode="json")}
        echo_json(json.dumps(whole, ensure_ascii=False, indent=2))
    elif checked.findings:
        table_console().print(check_table(checked).terminal())
    if checked.problems:
        raise SystemExit(1)
