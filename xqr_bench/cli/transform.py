"""Transforms of vectors on the command line: the options, and what they mean together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from xqr_bench.transform import TransformOptions


def transform_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that change vectors before they are ranked."""
    options = [
        click.option(
            "--transform",
            metavar="NAME",
            help="Change the vectors of each language first: none, center, whiten or remove-K (docs/transforms.md).",
        ),
        click.option(
            "--transform-from",
            type=click.Path(),
            metavar="DIR",
            help="Estimate it on translated sentences, DIR/<language>.txt, instead of the texts of the task.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_transform(options: Mapping[str, Any]) -> TransformOptions | None:
    """The transform that the options ask for, None when they ask for none.

    Raises:
        UsageError: there is no such transform, or a folder is given without one.
    """
    if options["transform"] is None and options["transform_from"] is None:
        return None
    from xqr_bench.transform import TransformOptions

    return TransformOptions.parse(options["transform"], options["transform_from"])
