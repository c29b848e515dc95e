"""Whatever a page shows: every command has its options, and every program runs, or is listed here with its reason."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from tests.conftest import needs_data
from tests.kit import ROOT, page_blocks, ran, run_blocks
from xqr_bench.cli.main import cli

PAGES = [
    *(path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"),  # it also tells of what there was
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "leaderboard" / "README.md",
]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="docs/ is not beside an installed package")


FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The fenced blocks of a page, each a page of that block alone."""
    return [block[0] for block in FENCE.finditer(text)]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `xqr-bench` command of a page, in fenced blocks and in its sentences."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                if shown := re.match(r"\s*(?:\$ )?(?:\S+=\S* )*(?:\.venv/bin/)?xqr-bench (.*)", part):
                    yield shlex.split(re.split(r"(?:^| )[|>] ", shown[1])[0], comments=True)
    for shown in re.findall(r"`xqr-bench ([^`]*)`", FENCE.sub("", text)):
        yield shlex.split(shown.replace("\\|", "|").replace("...", ""))


def options(command: click.Command) -> list[click.Option]:
    """The options of a command."""
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def check(words: list[str]) -> None:
    """Find the command and its options; what the command would do is not done."""
    command: click.Command = cli
    context = click.Context(cli, info_name="xqr-bench")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name == "COMMAND":
            return
        if re.fullmatch(r"\w[\w-]*(\|\w[\w-]*)+", name):  # data fetch|verify|list
            for one in name.split("|"):
                check([*words[: len(words) - len(rest) - 1], one, *rest])
            return
        below = command.get_command(context, name)
        if below is None:
            raise click.UsageError(f"no command {name!r}")
        command, context = below, click.Context(below, info_name=name, parent=context)
    if rest and rest[-1].startswith("--") and any(rest[-1] in one.opts and not one.is_flag for one in options(command)):
        rest.append("VALUE")  # a sentence names the option alone
    command.make_parser(context).parse_args(rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_has_its_options(page: Path) -> None:
    wrong = []
    for words in commands(page.read_text(encoding="utf-8")):
        try:
            check(words)
        except click.ClickException as error:
            wrong.append(f"xqr-bench {shlex.join(words)}: {error.format_message()}")
    assert wrong == []


def texts_in(value: object) -> Iterator[str]:
    """Every text of a document."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_in(one)
    if isinstance(value, str):
        yield value


@pytest.mark.parametrize("page", ["scale.md"])
def test_what_a_cluster_is_given(page: str) -> None:
    """Recipes in YAML can be read, and the command in each has its options."""
    yaml = pytest.importorskip("yaml")
    for _, block in page_blocks(page, "yaml"):
        found = [text for text in texts_in(yaml.safe_load(block)) if text.startswith("xqr-bench ")]
        assert found
        for text in found:
            check(shlex.split(re.sub(r"\$\(\(.*?\)\)", "1", text))[1:])


def test_a_wrong_command_would_be_found() -> None:
    shown = "```\nxqr-bench evaluate MODEL --no-such\n$ xqr-bench data fetch|list --no\n```\nWrite `xqr-bench nothing`."
    found = list(commands(shown))
    assert len(found) == 3
    for words in found:
        with pytest.raises(click.ClickException):
            check(words)


# Programs.

RUN_BY = {
    "batch-plans.md": "test_docs.py",
    "compare.md": "test_docs.py",
    "design.md": "test_docs.py",
    "encoders.md": "test_docs.py",
    "faiss.md": "test_docs.py",
    "inspect.md": "test_docs.py",
    "interop.md": "test_docs.py",
    "losses.md": "train/test_losses.py",
    "metrics.md": "test_docs.py",
    "quantize.md": "test_docs.py",
    "relevance.md": "test_docs.py",
    "reranking.md": "test_docs.py",
    "start.md": "test_docs.py",
    "tasks.md": "test_docs.py",
    "training-data.md": "test_docs.py",
    "rankers.md": "evaluation/test_rankers.py",
    "exposure.md": "test_docs_commands.py",
    "pools.md": "test_docs_commands.py",
    "record.md": "test_docs_commands.py",
    "training.md": "test_docs_commands.py",
}
"""Page -> the tests that run its programs."""

NOT_RUN = {"ratio-study-how.md": "reads the results of a study of hours"}
"""Page -> why its programs do not run; what they import is there all the same."""


def test_every_program_runs_or_is_listed() -> None:
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if page_blocks(page, "python")} == {*RUN_BY, *NOT_RUN}
    for page, tests in RUN_BY.items():
        source = (ROOT / "tests" / tests).read_text(encoding="utf-8")
        assert f'"{page}"' in source, f"{page} is not run by tests/{tests}"


def test_the_programs_that_do_not_run_import_what_there_is() -> None:
    for page in NOT_RUN:
        for _, block in page_blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = import_module(node.module)
                    assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@needs_data
def test_exposure() -> None:
    names = run_blocks("exposure.md", languages=["python"])
    assert names["keep"] == [True, False]  # the second is a question of the task


def test_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran("evaluate", "char-ngrams", "--no-relevance", "--quiet")
    found = run_blocks("pools.md", languages=["python"])["found"]
    assert len(found.leave_one_out) == 11


def test_the_record_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    record = run_blocks("record.md", languages=["python"])["record"]
    assert f"{record.scores['multilingual'].macro['map'].value}" in capsys.readouterr().out


def test_training_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("accelerate")
    run_blocks("training.md", languages=["python"])
    assert len(capsys.readouterr().out.splitlines()) >= 4
