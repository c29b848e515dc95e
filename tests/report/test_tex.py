"""LaTeX: any text means itself, tables fit what they stand in, and a real LaTeX reads them without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kit import BOARD
from xqr_bench.analysis.asked import Choice, Paper
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import UsageError
from xqr_bench.record import load_record
from xqr_bench.report.papers import comparison_latex, records_latex
from xqr_bench.report.table import Column, Table, columns
from xqr_bench.report.tex import COLUMN, LONG, Figure, Sheet, latex_text, needs

EVIL = "<b>x</b> | `a` *b* [c](https://evil.example) & % \\ [bold]_d {}~^$#\"' -- ,, 50%"
LATIN = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180)])) + "‘’‚“”„†‡•…‰‹›€™—ȘșȚț–−≤≥→×"
NAMES = {
    "arabic": "نموذج متعدد اللغات",
    "hebrew": "מודל רב לשוני",
    "cjk": "多语模型 モデル 모형",
    "thai": "แบบจำลองหลายภาษา",
    "devanagari": "बहुभाषी मॉडल",
    "greek": "πολύγλωσσο",
    "cyrillic": "многоязычная",
    "latin": "tiếng Việt",
}


def test_signs_of_numbers_and_of_latex() -> None:
    assert latex_text("a_b & 5% of #1 <.0001 \\") == r"a\_b \& 5\% of \#1 $<$.0001 \textbackslash{}"
    assert latex_text("-.0142, +.0006, joshi-3 minus en, b - a, max-T") == (
        "$-$.0142, $+$.0006, joshi-3 minus en, b $-$ a, max-T"
    )
    assert latex_text(".0104 to -.0180 ±.02 – −1") == r".0104 to $-$.0180 $\pm$.02 -- $-$1"
    assert latex_text("a--b,,c") == "a-{}-b,{},c"  # no dash, no quotation mark
    assert latex_text("x‍\u200by\ufffd") == "xy?"  # nothing of no width is left alone


@pytest.mark.parametrize(("script", "text"), NAMES.items(), ids=NAMES)
def test_another_script_stands_in_a_command_that_is_explained(script: str, text: str) -> None:
    written = latex_text(f"a {text}, b")
    if script == "latin":
        assert written == r"a ti\textlatin{ế}ng Vi\textlatin{ệ}t, b"
    else:
        assert written == rf"a \text{script}{{{text}}}, b"
    comment = "\n".join(needs(written))
    assert rf"\providecommand\text{script}[1]" in comment
    assert "XeLaTeX" in comment
    assert "T1" not in comment  # is for the other engine
    assert (r"\beginR" in comment) == (script in ("arabic", "hebrew"))


def test_what_pdflatex_has_needs_no_other_engine() -> None:
    assert needs("café") == [r"% \usepackage{booktabs}", r"% \usepackage[T1]{fontenc}"]
    assert needs("cafe") == [r"% \usepackage{booktabs}"]
    assert r"\textothersign{😀}" in latex_text("a 😀")


def cells(latex: str) -> list[list[str]]:
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in latex.splitlines() if line.endswith(r" \\")]


def test_every_row_has_all_columns() -> None:
    table = Table("t", (*columns("name", "one\ntwo"), Column("why", "word")), [[EVIL, "-.1", EVIL], ["part"]], (EVIL,))
    latex = Sheet.of_table(table, latex_text(EVIL)).latex()
    assert [len(row) for row in cells(latex)] == [3, 3, 1]
    assert r"\multicolumn{3}{@{}l@{}}{\textit{part}}" in latex
    assert r"{@{}>{\raggedright\arraybackslash}Xrl@{}}" in latex
    marked = Sheet("c", ("name",), ("a", "b"), [["x", Figure(".1", "ab", True), ".2"], ["y", ".3", ".4"]]).latex()
    assert cells(marked) == [
        ["name", r"\multicolumn{2}{c}{a}", "b"],
        ["x", r"\textbf{.1}", r"\textsuperscript{ab}", ".2"],
        ["y", ".3", "", ".4"],
    ]
    assert r"\begin{tabular}{@{}lr@{}lr@{}}" in marked


def test_the_environment_fits_the_table() -> None:
    def of(n_columns: int, n_rows: int, name: str = "x") -> str:
        heads = [f"h{n}" for n in range(n_columns)]
        return Sheet("c", ("name",), heads, [[name, *[".123"] * n_columns]] * n_rows, label="tab:x").latex()

    assert r"\begin{table}[t]" in of(3, 2)
    assert f"% fits a column of {COLUMN} cm" in of(3, 2)
    assert r"\small" in of(7, 2)
    assert r"\footnotesize" in of(7, 2, "a model")  # a little smaller, and it fits
    assert f"% fits a column of {COLUMN} cm" in of(7, 2, "a model")
    assert r"\begin{table}[t]" in of(7, 2, "a model")
    assert r"\begin{table*}[t]" in of(9, 2)
    assert r"\scriptsize" in of(20, 2)
    assert "on its side" in of(30, 2)
    long = of(3, LONG + 1)
    assert r"\begin{longtable}" in long
    assert r"\onecolumn" in long
    assert all(one.count(r"\label{tab:x}") == 1 for one in (of(3, 2), of(9, 2), long))
    assert not any("resizebox" in one for one in (of(3, 2), of(30, 2), long))


# A real LaTeX.

# the paper of ACL: A4, columns of 7.7 cm
CLASS = (
    r"\documentclass[11pt,a4paper,twocolumn]{article}\usepackage[a4paper,margin=2.5cm]{geometry}"
    r"\setlength{\columnsep}{0.6cm}"
)


def compiled(latex: str, folder: Path, engine: str, *, one_column: bool = False) -> list[str]:
    """The complaints of LaTeX about a document of this, with what its comments say must be loaded."""
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} on PATH: install TeX Live, such as texlive-latex-recommended and texlive-xetex")
    commands = [line[2:] for line in latex.splitlines() if re.match(r"% \\(usepackage|newfontfamily|provide)", line)]
    loaded = dict.fromkeys(commands if engine == "xelatex" else [line for line in commands if "fontspec" not in line])
    if engine == "xelatex":
        loaded.pop(r"\usepackage[T1]{fontenc}", None)
    head = CLASS.replace(",twocolumn", "") if one_column else CLASS
    text = "\n".join([head, *loaded, r"\begin{document}", latex, r"\end{document}"])
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    for _ in range(3):  # longtable finds its widths in the third
        done = subprocess.run(
            [engine, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "paper.log").read_text(encoding="utf-8", errors="replace")
    return [line for line in log.splitlines() if re.match(r"Overfull|Missing character|LaTeX Warning|!", line)]


def record(model: str, task: str = "xquad-r") -> Path:
    (path,) = BOARD.glob(f"{model}/*/{task}.json")
    return path


E5 = "multilingual-e5-small__from_4-bit_weights_"
MODELS = (E5, f"{E5}_center", "USE_multilingual_v3__from_6-bit_weights_", "bm25")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["pdflatex", "xelatex"])
def test_every_sign_of_pdflatex_compiles(tmp_path: Path, engine: str) -> None:
    drawn = (sign for sign in LATIN if sign.strip() and "textlatin" not in latex_text(sign))
    rows = [[f"{sign} {sign}{sign}", ".1"] for sign in drawn]
    sheet = Sheet(latex_text(EVIL), ("name",), ("figure",), [[EVIL, "-.1"], *rows])
    (complaint, *others) = compiled(sheet.latex(), tmp_path, engine, one_column=True) or [""]
    assert (complaint, others) == ("", [])


def of_scripts(chosen: Sequence[str]) -> str:
    rows = [[f"a {NAMES[script]} b", Figure(".5", "a", True)] for script in chosen]
    return Sheet("names", ("name",), ("figure",), rows).latex()


@pytest.mark.slow
def test_names_in_other_scripts_compile_as_the_comment_says(tmp_path: Path) -> None:
    fonts = subprocess.run(["fc-list", ":", "family"], capture_output=True, text=True).stdout
    chosen = [
        script
        for script in NAMES
        if all(
            font in fonts for font in re.findall(r"names\S*\{([^}]+)\}", "\n".join(needs(latex_text(NAMES[script]))))
        )
    ]
    if not chosen:
        pytest.skip("no font of another script is installed, such as fonts-noto-core and fonts-noto-cjk")
    assert compiled(of_scripts(chosen), tmp_path, "xelatex") == []
    with pytest.raises(AssertionError, match="Undefined control sequence"):  # nothing is left out in silence
        compiled(of_scripts(chosen), tmp_path, "pdflatex")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["pdflatex", "xelatex"])
@pytest.mark.parametrize("table", ["main", "languages", "pairs", "power"])
def test_tables_of_real_records_compile(tmp_path: Path, engine: str, table: str) -> None:
    choice = Choice(languages=("all",)) if table == "languages" else Choice()
    tasks = compare([record(model) for model in MODELS], choice, resamples=200)
    labels = ["e5", "e5 & centred_1", "100% USE", "BM25"]
    names = dict(zip((one.label for one in tasks[0].records), labels, strict=True))
    called = [task.called(names) for task in tasks]
    for paper, of in ((Paper(table, label="tab:x"), tasks), (Paper(table, caption=r"Mine, \textbf{bold} é"), called)):
        latex = comparison_latex(of, paper)
        assert compiled(latex, tmp_path, engine, one_column="longtable" in latex) == []


@pytest.mark.slow
@pytest.mark.parametrize("table", ["main", "languages"])
def test_tables_of_records_alone_compile(tmp_path: Path, table: str) -> None:
    records = [load_record(record(model, task)) for task in ("xquad-r", "mlqa-r") for model in MODELS]
    names = [record.model.name for record in records]
    assert compiled(records_latex(records, names, Paper(table)), tmp_path, "pdflatex") == []
    assert compiled(records_latex(records[:4], ["a", "b", "c", "d"], Paper(table)), tmp_path, "pdflatex") == []


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        ({"table": "mian"}, "closest: main"),
        ({"label": "tab#1"}, "letters, digits"),
        ({"caption": "a } b"}, "braces do not match"),
        ({"caption": "50% of"}, "hides the rest"),
        ({"caption": "end\\"}, "braces do not match"),
    ],
)
def test_what_latex_cannot_read_is_refused(paper: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Paper(**paper)
    assert Paper(caption=r"50\% of {\em all} \{").caption
