"""A record on one screen: 20 lines with the one that says where it is, 80 columns, plain words."""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.kit import BOARD, words
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.record import Record, load_record
from xqr_bench.report.brief import (
    LINES,
    WIDTH,
    brief,
    by_language,
    exact_figures,
    labels,
    side_by_side,
    warnings_in_short,
)
from xqr_bench.report.table import Table

E5 = next(BOARD.glob("multilingual-e5-small__from_4-bit_weights_/*/xquad-r.json")).parent
JARGON = (
    "Mo.",
    "Cr.",
    "Mul.",
    "joshi",
    "paper-unseen",
    "language_order",
    "max-T",
    "own_language_first",
    "rank_dist",
    "top_",
)


def lines_of(record: Record, width: int = WIDTH) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, emoji=False, markup=False)
    console.print(brief(record, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("task", ["xquad-r", "mlqa-r", "afriqa", "tatoeba"])
def test_a_record_of_the_board_is_one_screen(task: str) -> None:
    record = load_record(E5 / f"{task}.json")
    lines = lines_of(record)
    assert len(lines) <= LINES
    assert all(cell_len(line) <= WIDTH for line in lines)
    text = words("\n".join(lines))
    assert not [word for word in JARGON if word in text]
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        rows = [line for line in lines if line.startswith(f"{setting} ")]
        assert len(rows) == (setting in record.scores)


def test_every_record_of_the_board_fits() -> None:
    paths = sorted(path for path in BOARD.glob("*/*/*.json") if path.with_suffix(".ranks.parquet").is_file())
    assert len(paths) > 20
    for path in paths:
        lines = lines_of(load_record(path, whole=False))
        assert len(lines) <= LINES, path
        assert all(cell_len(line) <= WIDTH for line in lines), path


def test_what_stands_there() -> None:
    record = load_record(E5 / "xquad-r.json")
    lines = lines_of(record)
    text = words("\n".join(lines))
    macro = record.scores["multilingual"].macro
    assert f"{macro['map'].value:.4f}".lstrip("0") in next(line for line in lines if line.startswith("multilingual "))
    bias = [line for line in lines if "lower is better" in line or line.rstrip().endswith(("always", "the same"))]
    assert len(bias) == 3
    assert f"{macro['rank_distance'].random_reference:,.0f}" in bias[0]
    assert "is at most .909" in text  # ten places for eleven answers
    of_language = record.scores["multilingual"].by_query_language
    ordered = sorted(of_language, key=lambda code: -(of_language[code]["map"].value or 0))
    listed = text.partition("best first: ")[2].split(", ")
    assert [one.split()[0] for one in listed[: len(ordered)]] == ordered


def test_undefined_is_not_zero() -> None:
    """MLQA-R has no order of its languages: another measure stands there. Of one language there is one setting."""
    text = words("\n".join(lines_of(load_record(E5 / "mlqa-r.json"))))
    assert "order of other languages" not in text
    assert "spread of the answers" in text
    assert "11,548 of 25,194 pairs" in text
    tatoeba = load_record(E5 / "tatoeba.json")
    text = words("\n".join(lines_of(tatoeba)))
    assert "bias" not in text.partition("all measures")[0]
    macro = {**tatoeba.scores["cross-lingual"].macro}
    macro["map"] = macro["map"].model_copy(update={"value": None, "interval": None, "undefined_reason": "too few"})
    parts = {name: getattr(tatoeba.scores["cross-lingual"], name) for name in ("by_query_language",)}
    scores = {"cross-lingual": type(tatoeba.scores["cross-lingual"])(**macro, **parts)}
    lines = lines_of(tatoeba.model_copy(update={"scores": scores}))
    assert next(line for line in lines if line.startswith("cross-lingual ")).split()[1] == "–"
    assert "no cross-lingual MAP: too few" in words("\n".join(lines))


def test_many_warnings_are_counted() -> None:
    record = load_record(E5 / "xquad-r.json")
    many = [f"warning {number} of {number} {'of many words ' * 9}" for number in range(12)]
    lines = lines_of(record.model_copy(update={"warnings": many}))
    assert len(lines) <= LINES
    shown = [line for line in lines if line.startswith("! warning")]
    assert all(line.endswith("…") and cell_len(line) <= WIDTH for line in shown)
    assert f"and {12 - len(shown)} more lines of warnings: --full" in lines[-1]
    one = lines_of(record.model_copy(update={"warnings": ["short"]}))
    assert one[-1] == "! short"


def test_warnings_that_differ_in_a_word_are_one() -> None:
    settings = "monolingual", "cross-lingual", "multilingual"
    start = "ties: the order of candidates with equal scores moves"
    lines = [f"{start} {name} map 0.{place}07..0.774, mrr" for place, name in enumerate(settings)]
    assert warnings_in_short([*lines, "other"], 80) == [
        f"! {start} monolingual,",
        "  cross-lingual, multilingual map…",
        "! other",
    ]


def test_what_does_not_vary_is_not_called_thin() -> None:
    text = words("\n".join(lines_of(load_record(BOARD / "oracle" / "1" / "xquad-r.json"))))
    assert "‡ without ±: every question has the same value" in text
    assert "fewer than 10" not in text


def test_names_of_any_script_in_any_width() -> None:
    record = load_record(E5 / "xquad-r.json")
    for name in ("多语言句子编码器" * 9, "نموذج متعدد اللغات", "x" * 150):
        named = record.model_copy(update={"model": record.model.model_copy(update={"name": name})})
        for width in (60, 80):
            assert all(cell_len(line) <= width for line in lines_of(named, width))
        (table,) = side_by_side([record, named], [record.model.name, name])
        for width in (60, 80):
            console = Console(file=io.StringIO(), width=width)
            console.print(table.terminal(), crop=False)
            assert isinstance(console.file, io.StringIO)
            printed = console.file.getvalue()
            assert all(cell_len(line) <= width for line in printed.splitlines()), printed


def test_a_task_of_many_languages_names_the_ends() -> None:
    record = load_record(E5 / "xquad-r.json")
    scores = record.scores["multilingual"]
    figure = scores.by_query_language["en"]
    many = {f"l{n:02}": {"map": figure["map"].model_copy(update={"value": n / 100})} for n in range(99)}
    wide = scores.model_copy(update={"by_query_language": many})
    lines = lines_of(record.model_copy(update={"scores": {**record.scores, "multilingual": wide}}))
    assert len(lines) <= LINES
    text = words("\n".join(lines))
    assert "best first: l98 .980" in text
    assert " more), " in text
    assert "l00 .000" in text


def test_side_by_side() -> None:
    minilm = load_record(next(BOARD.glob("sentence-transformers__all-MiniLM-L6-v2/*/xquad-r.json")), whole=False)
    records = [load_record(E5 / "xquad-r.json", whole=False), minilm, load_record(E5 / "mlqa-r.json", whole=False)]
    names = [record.model.name for record in records]
    tables = side_by_side(records, names)
    assert [len(table.columns) for table in tables] == [4, 3]
    assert [column.heading for column in tables[0].columns] == ["", *names[:2], "random"]
    row = next(row for row in tables[0].texts() if row[0] == "ranks, first answer to last")
    assert row[-1] == "10,846"
    (one,) = side_by_side([records[0], records[2]], [names[0], names[2]])
    assert [column.heading for column in one.columns] == ["", "xquad-r", "mlqa-r"]
    assert [row[0] for row in one.texts()][:2] == ["monolingual MAP", "monolingual recall@10"]


def test_names_that_stand_twice() -> None:
    record = load_record(E5 / "xquad-r.json", whole=False)
    name = record.model.name
    assert labels([record, record], ["a.json", "b.json"]) == [f"{name} (a.json)", f"{name} (b.json)"]
    other = load_record(E5 / "mlqa-r.json", whole=False)
    assert labels([record, other], ["a.json", "b.json"]) == [name, name]


def test_by_language() -> None:
    record = load_record(E5 / "xquad-r.json")
    (table,) = by_language([record], ["e5"])
    assert [column.heading for column in table.columns] == ["language", *record.scores]
    assert [row[0] for row in table.texts()] == record.task.languages
    assert all("±" in cell for row in table.texts() for cell in row[1:])
    assert [table.columns[1].heading for table in by_language([record, record], ["a", "b"])] == ["a"] * 3


def test_exact_figures() -> None:
    [result] = evaluate("char-ngrams", ["mini"])
    table = exact_figures([result], ["x,y"])
    rows = json.loads(table.json())
    row = next(row for row in rows if (row["setting"], row["metric"]) == ("multilingual", "map"))
    figure = result.scores["multilingual"].macro["map"]
    assert (row["value"], row["low"]) == (figure.value, figure.interval and figure.interval.low)
    undefined = [row for row in rows if row["value"] is None]
    assert len(undefined) == sum(
        one.value is None for scores in result.scores.values() for one in scores.macro.values()
    )
    assert table.csv().splitlines()[1].startswith('"x,y",mini,monolingual,map,0.')
    of_languages = json.loads(exact_figures([result], ["x"], languages=True).json())
    assert {row["language"] for row in of_languages} == set(result.task.languages)


def test_csv_and_json_of_a_table() -> None:
    table = Table("t", exact_figures([], []).columns[:1], [['a "quoted"\nname']])
    assert table.csv() == 'model\n"a ""quoted""\nname"\n'
    assert json.loads(table.json()) == [{"model": 'a "quoted"\nname'}]
