"""Options made from a dataclass: what the annotations and the docstring say is what the command has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner

from xqr_bench.cli.main import COMMANDS, LazyGroup, cli
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Commas, Counted, Folder, JsonObject, Option, Part, takes, whole_numbers


@dataclass(frozen=True, kw_only=True)
class Base:
    """What is inherited.

    Attributes:
        where: A place.
    """

    where: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Asked(Base):
    """Every kind of field.

    Attributes:
        out: A folder that
            must be given.
        mode: One of two.
        tasks: Repeat for more.
        steps: Separated by commas.
        names: Separated by commas.
        first: At least one.
        extra: An object.
        rate: A number.
        gather: Given, it is off.
        loud: Given, it is on.
    """

    out: Folder
    mode: Literal["a", "b"] = "a"
    tasks: tuple[str, ...] = ("mini",)
    steps: Annotated[Sequence[int], Option(parse=whole_numbers)] = ()
    names: Commas = None
    first: Counted = None
    extra: JsonObject = field(default_factory=dict)
    rate: Annotated[float, Option("-r --rate", metavar="SHARE")] = 0.5
    gather: bool = True
    loud: Annotated[bool, Option("--noise")] = False


def run(*arguments: str, of: type | Part = Asked) -> Any:
    got: list[Any] = []

    @click.command()
    @takes(asked=of)
    def command(asked: Any) -> None:
        got.append(asked)

    done = CliRunner().invoke(command, arguments)
    if isinstance(done.exception, UsageError):
        raise done.exception
    return got[0] if got else done.output


def test_defaults_are_those_of_the_fields() -> None:
    assert run("--out", "o") == Asked(out=Path("o"))


def test_values_have_the_types_of_the_fields() -> None:
    given = ["--out", "o", "--where", "~", "--mode", "b", "--task", "x", "--task", "y", "--steps", "1, 2", "-r", "1"]
    given += ["--names", "a,,b ", "--first", "3", "--extra", '{"k": 1}', "--no-gather", "--noise"]
    assert run(*given) == Asked(
        out=Path("o"),
        where=Path.home(),
        mode="b",
        tasks=("x", "y"),
        steps=[1, 2],
        names=["a", "b"],
        first=3,
        extra={"k": 1},
        rate=1.0,
        gather=False,
        loud=True,
    )


def test_the_help_is_that_of_the_docstring() -> None:
    text = run("--help")
    assert "A place." in text
    assert "A folder that must be given. [required]" in " ".join(text.split())
    for line in ("--task TEXT", "[default: mini]", "-r, --rate SHARE", "--no-gather", "--out DIRECTORY"):
        assert line in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--first", "0"), "--first cannot be 0\n  to do: use a number from 1 on"),
        (("--steps", "1,x"), "--steps cannot be '1,x'\n  to do: write them as 150,300"),
        (("--extra", "[]"), "--extra cannot be '[]'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_option(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        run("--out", "o", *arguments)
    assert str(error.value).startswith(message)


def test_a_part_gives_a_dict() -> None:
    part = Part(Asked, only=("mode", "rate", "out"), defaults=False, help={"rate": "Another text."})
    assert run(of=part) == {}
    assert run("--rate", "2", of=part) == {"rate": 2.0}
    assert "Another text." in run("--help", of=part)
    assert run("--out", "o", of=Part(Asked, leave=("tasks",)))["rate"] == 0.5


def test_every_option_of_every_command_has_a_text() -> None:
    assert isinstance(cli, LazyGroup)
    context = click.Context(cli)
    waiting = [command for name in COMMANDS if (command := cli.get_command(context, name)) is not None]
    options = []
    while waiting:
        command = waiting.pop()
        waiting += command.commands.values() if isinstance(command, click.Group) else []
        options += [one for one in command.params if isinstance(one, click.Option)]
    assert len(options) > 250
    assert [one.opts for one in options if not one.help] == []
