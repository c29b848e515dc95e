"""A stranger's record can steer no terminal: one outlet, and every command that prints what a record says."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest
import yaml
from markdown_it import MarkdownIt

import xqr_bench
from tests.kit import Done, read_json, run
from xqr_bench.cli.main import COMMANDS
from xqr_bench.cli.printing import clean_python, console, echo, echo_json
from xqr_bench.cli.progress import RunProgress
from xqr_bench.core.printable import json_shown, markdown_shown, shown, shown_line
from xqr_bench.report.tex import latex_text
from xqr_bench.report.text import hits_lines

STEERING = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202e\u2066\x08\r\x00\x7f\x85\u2028\x1b]8;;https://evil.example\x1b\\"
MARKUP = "[bold red]<script>x</script> | a`b`*c* _d_ [e](https://evil.example) www.evil.example :bomb: $x$ %"
HOSTILE = STEERING + MARKUP
BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
FEW = ("--resamples", "200")
LEGITIMATE = (
    "می\u200cخواهم \u061c\u200f123",  # Persian with a non-joiner, marks of direction
    "שָׁלוֹם עולם",
    "ภาษาไทยน้ำ",
    "क्\u200dष हिन्दी",
    "中文，日本語、한국어",
    "👩\u200d👩\u200d👧",
    "a\u00a0b\tc\nd",
)


def steers(text: str) -> list[str]:
    """The characters of a text that steer, by Unicode's tables."""
    return [
        hex(ord(character))
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t")
        or unicodedata.bidirectional(character) in BIDI
    ]


def changed(path: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A record and its ranks, changed."""
    to.mkdir()
    for beside in path.parent.iterdir():
        (to / beside.name).write_bytes(beside.read_bytes())
    data = read_json(path)
    change(data)
    (to / path.name).write_text(json.dumps(data), encoding="utf-8")
    return to / path.name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of the embedded task with hostile words: `a` and `b` are valid, `key` and `setting` are not."""
    folder = tmp_path_factory.mktemp("hostile")

    def name(data: dict[str, Any], model: str) -> None:
        data["model"]["name"] = model
        data["model"]["identity"]["name"] = model
        data["task"]["title"] = HOSTILE
        data["task"]["demonstration"] = False
        data["warnings"] = [HOSTILE]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run("evaluate", "char-ngrams", "--quiet").code == 0
        assert run("baseline", "random", "--quiet").code == 0
        made, other = (Path(f"results/{model}/mini.json") for model in ("char-ngrams", "random"))
        changed(made, Path("a"), lambda data: name(data, HOSTILE))
        changed(other, Path("b"), lambda data: name(data, f"b {HOSTILE}"))
        changed(made, Path("key"), lambda data: data.update({HOSTILE: 1}))
        changed(made, Path("setting"), lambda data: data["scores"].update({HOSTILE: data["scores"]["monolingual"]}))
    return folder


@pytest.fixture(autouse=True)
def in_that_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)


def clean(done: Done) -> Done:
    assert done.out or done.err
    assert steers(done.out) == []
    assert steers(done.err) == []
    assert "Traceback" not in done.err
    return done


READING = [
    ("recompute", "a/mini.json"),
    ("recompute", "a/mini.json", "--with", "pytrec_eval", "--sample", "2"),
    ("recompute", "setting/mini.json"),
    ("compare", "a/mini.json", "b/mini.json", *FEW),
    ("compare", "a/mini.json", "b/mini.json", "--latex", *FEW),
    ("compare", "a/mini.json", "b/mini.json", "--plot", "forest.svg", *FEW),
    ("pools", "a/mini.json", "--plot", "pools.svg"),
    ("languages", "a/mini.json"),
    ("plot", "a/mini.json", "-o", "one.svg"),
    ("plot", "a/mini.json", "b/mini.json", "--kind", "frontier", "-o", "frontier.svg"),
    ("plot", "a/mini.json", "b/mini.json", "--kind", "languages", "-o", "languages.svg"),
    ("plot", "a/mini.json", "--kind", "bias", "-o", "bias.svg"),
    ("reproduce", "a/mini.json", "--model", "char-ngrams"),
    ("reproduce", "a/mini.json", "--model", HOSTILE),
    ("submit", "a/mini.json", "--leaderboard", "board"),
    ("export", "model-card", "a/mini.json"),
    ("export", "model-card", "a/mini.json", "b/mini.json"),
    ("data", "list", HOSTILE),
    ("recompute", f"{HOSTILE}.json"),
    ("recompute", f"--{HOSTILE}"),
    (HOSTILE,),
]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: " ".join(arguments)[:40].encode().hex()[:40])
def test_no_command_lets_a_stranger_steer(arguments: tuple[str, ...]) -> None:
    done = clean(run(*[argument.replace("\x00", "") for argument in arguments]))
    if "--latex" in arguments:
        assert "[bold" not in done.out
        assert "{[}bold red{]}$<$script$>$x$<$/script$>$ \\textbar{}" in done.out
        assert "a\\textasciigrave{}b\\textasciigrave{}{*}c{*} \\_d\\_" in done.out
    for path in (argument for argument in arguments if argument.endswith(".svg")):
        text = Path(path).read_text(encoding="utf-8")
        assert steers(text) == []
        ElementTree.fromstring(text)


@pytest.mark.parametrize("record", ["key/mini.json", "setting/mini.json"])
@pytest.mark.parametrize(
    "command",
    [
        ("recompute",),
        ("compare", "b/mini.json"),
        ("compare", "b/mini.json", "--markdown"),
        ("pools",),
        ("remedies",),
        ("languages",),
        ("plot", "-o", "x.svg"),
        ("reproduce",),
        ("submit", "--leaderboard", "board"),
        ("export", "model-card"),
    ],
    ids=" ".join,
)
def test_no_unknown_key_steers(command: tuple[str, ...], record: str) -> None:
    done = clean(run(*command, record))
    if record.startswith("key"):
        assert done.code == 1
        assert "[bold red]" in done.err


@pytest.mark.parametrize("command", ["compare", "languages", "pools"])
def test_styles_of_our_own_are_left(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    more = ("b/mini.json", *FEW) if command == "compare" else ()
    done = run(command, "a/mini.json", *more)
    assert "\x1b[1" in done.out  # bold
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.out)
    assert steers(plain) == []
    assert "[bold red]" in "".join(plain.split("\n")).replace("  ", "")
    assert "\x1b[1;31m" not in done.out
    assert ":bomb:" in plain


@pytest.mark.parametrize(
    "arguments",
    [("compare", "a/mini.json", "b/mini.json", "--json", *FEW), ("pools", "a/mini.json", "--json")],
    ids=lambda arguments: arguments[0],
)
def test_json_keeps_every_value(arguments: tuple[str, ...]) -> None:
    done = clean(run(*arguments))

    def strings(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for pair in value.items() for part in pair for text in strings(part)]
        return [text for part in value for text in strings(part)] if isinstance(value, list) else [str(value)]

    assert HOSTILE in strings(json.loads(done.out))


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "a/mini.json", "b/mini.json", "--markdown", *FEW),
        ("pools", "a/mini.json", "--markdown"),
        ("languages", "a/mini.json", "--markdown"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_markdown_has_no_mark_of_a_stranger(arguments: tuple[str, ...]) -> None:
    done = clean(run(*arguments))
    assert "https://" not in done.out
    assert "www." not in done.out
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(done.out)
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    tags = {element.tag for element in tree.iter() if isinstance(element.tag, str)}
    assert tags <= {"html", "head", "body", "h2", "p", "strong", "ul", "li"} | {
        "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    words = "".join(tree.itertext())
    assert MARKUP in words
    for table in tree.iter("table"):
        assert len({len(row) for row in table.iter("tr")}) == 1
        assert not any(cell.text is None and len(cell) for cell in table.iter("td"))


def test_the_model_card_is_yaml() -> None:
    done = clean(run("export", "model-card", "a/mini.json"))
    card = yaml.safe_load(done.out.strip("-\n"))
    assert shown(card["model-index"][0]["name"]) == shown(HOSTILE)
    assert shown(card["model-index"][0]["results"][0]["dataset"]["name"]).startswith(shown(HOSTILE))


@pytest.mark.parametrize("text", LEGITIMATE)
def test_no_script_is_harmed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(text) == text
    assert json_shown(text) == text
    assert markdown_shown(text) == " ".join(text.replace("\t", " ").split("\n"))
    echo(text)
    echo_json(json.dumps(text, ensure_ascii=False))
    first, _, second = capsys.readouterr().out.rpartition("\n")[0].rpartition("\n")
    assert first == text
    assert json.loads(second) == text
    console().print(text.expandtabs(), soft_wrap=True)
    assert capsys.readouterr().out == text.expandtabs() + "\n"


def test_what_takes_the_place() -> None:
    every = " ".join(map(chr, range(0x11000)))
    assert steers(shown(every)) == []
    assert len(shown(every)) == len(every)
    assert [hex(ord(a)) for a, b in zip(every, shown(every), strict=True) if a != b] == steers(every)
    assert json.loads(json_shown(json.dumps(every, ensure_ascii=False))) == every
    assert shown("a\x1b[31mb") == "a\ufffd[31mb"
    assert shown_line("a\nb\tc") == "a\ufffdb\ufffdc"
    assert shown("\u2067א\u2069\x1b", keep="\u2067\u2069") == "\u2067א\u2069\ufffd"
    assert latex_text("[x]*\x1b\n&") == "{[}x{]}{*}??\\&"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("own_language_first recall@10", "own_language_first recall@10"),
        ("_a_ b__c", r"\_a\_ b\_\_c"),
        ("me@evil.example", "me&#64;evil.example"),
        ("HTTPS://x WWW.x", "HTTPS&#58;//x WWW&#46;x"),
        ("mailto:a", "mailto&#58;a"),
        ("a\\|b\n# c", "a\\\\\\|b # c"),
        ("<b>&lt;", "&lt;b&gt;&amp;lt;"),
    ],
)
def test_markdown_means_itself(text: str, written: str) -> None:
    assert markdown_shown(text) == written
    page = MarkdownIt("commonmark").enable("table").render(f"| {written} |\n|---|\n")
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    assert ["".join(cell.itertext()) for cell in tree.iter("th")] == [text.replace("\n", " ")]


def test_progress_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress() as progress, progress.phase(f"folder/{HOSTILE.replace('/', '')}", 2):
        progress.note(HOSTILE)
    told = capsys.readouterr().err
    assert steers(told) == []
    assert told.count("[bold red]") == 2


def test_hits_keep_their_isolates(capsys: pytest.CaptureFixture[str]) -> None:
    for line in hits_lines([(1, 0.5, f"ar{STEERING}", f"id{STEERING}", f"سلام{STEERING}")], width=200):
        echo(line, keep="\u2066\u2067\u2069")
    out = capsys.readouterr().out
    assert out.count("\u2067") == out.count("\u2069") > 0
    assert steers(out.replace("\u2067", "").replace("\u2069", "")) == []


def test_what_python_prints_is_cleaned(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(warnings, "formatwarning", lambda *_: HOSTILE)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    clean_python()
    clean_python()
    assert warnings.formatwarning("x", UserWarning, "f", 1) == shown(HOSTILE)
    error = KeyError("x")
    error.add_note(HOSTILE)
    sys.excepthook(KeyError, error, None)
    told = capsys.readouterr().err
    assert shown(HOSTILE) in told
    assert steers(told) == []


# what these print is their own: schemas and facts made for a file
OWN = {
    ("__main__.py", "write"),  # before anything is loaded
    ("board/model.py", "print"),
    ("board/facts.py", "print"),
    ("record/model.py", "print"),
    ("record/provenance.py", "stdout"),  # of git
    ("cli/search.py", "stdout"),  # whether it is a terminal
    ("cli/inspect.py", "stdout"),  # the same
    ("cli/main.py", "from click import CompletionItem"),  # which prints nothing
}
PRINTING = {"print", "pprint", "Console"}
CLICK = {"echo", "secho", "style", "echo_via_pager", "prompt", "confirm", "get_text_stream", "get_binary_stream"}


def test_there_is_one_outlet() -> None:
    """Nothing in the package prints but through `cli/printing.py`: a new command cannot forget to clean."""
    package = Path(xqr_bench.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        place = path.relative_to(package).as_posix()
        if place == "cli/printing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "click":
                found |= {(place, f"from click import {alias.name}") for alias in node.names}
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__"):
                found.add((place, node.attr))
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in PRINTING:
                found.add((place, called.id))
            if isinstance(called, ast.Attribute):
                on = called.value.id if isinstance(called.value, ast.Name) else ""
                if on == "click" and called.attr in CLICK:
                    found.add((place, f"click.{called.attr}"))
                if (on, called.attr) in (("rich", "print"), ("os", "write")) or called.attr == "print_exc":
                    found.add((place, called.attr))
    assert found == OWN
    assert len(COMMANDS) > 20
