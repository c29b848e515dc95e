"""The help text of a command of many options: the most needed ones first, each under one heading."""

from __future__ import annotations

import re

import click
import pytest

from tests.kit import ran
from xqr_bench.cli.main import cli
from xqr_bench.core.options import MOST_NEEDED, OTHERS, Sections

LONG = [("evaluate",), ("train",), ("sweep",), ("geometry",), ("compare",), ("reproduce",), ("encoders", "check")]


def command_of(names: tuple[str, ...]) -> Sections:
    command: click.Command | None = cli
    for name in names:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert isinstance(command, Sections)
    return command


@pytest.mark.parametrize("names", LONG)
def test_each_option_stands_in_one_group(names: tuple[str, ...]) -> None:
    command = command_of(names)
    context = click.Context(command)
    headed = command.sections(context)
    placed = [one.name for options in headed.values() for one in options]
    visible = [one for one in command.get_params(context) if isinstance(one, click.Option) and not one.hidden]
    assert sorted(map(str, placed)) == sorted(str(one.name) for one in visible)
    text = ran(*names, "--help").out
    below = text.partition(f"\n{next(iter(headed))}:\n")[2]
    flags = re.findall(r"^  (?:-\w, )?(--[\w-]+)", below, re.MULTILINE)
    assert sorted(flags) == sorted(max(one.opts, key=len) for one in visible)
    assert [line[:-1] for line in text.splitlines() if line in {f"{name}:" for name in headed}] == list(headed)
    assert all(headed.values())
    if command.first:
        assert next(iter(headed)) == MOST_NEEDED
        assert len(headed[MOST_NEEDED]) == len(command.first) <= 10
    assert "--help" in headed[OTHERS][-1].opts


def test_evaluate_begins_with_ten() -> None:
    command = command_of(("evaluate",))
    assert len(command.first) == 10
    assert [one.opts[-1] for one in command.sections(click.Context(command))[OTHERS]] == ["--help"]


def test_a_long_help_text_has_headings() -> None:
    """A command of 15 options or more has them."""
    flat = []
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        options = [one for one in command.params if isinstance(one, click.Option)]
        if len(options) >= 15 and not isinstance(command, Sections):
            flat.append(name)
    assert not flat
