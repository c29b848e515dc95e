"""The main tables: 100 columns, and no name cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.kit import BOARD
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import Record, load_record
from xqr_bench.report.results import WIDTH, main_table, order_of_languages, results, shares_of_languages

SUBMISSIONS = sorted(path.parent for path in BOARD.glob("*/*/mlqa-r.json") if path.with_name("xquad-r.json").is_file())


def rendered(records: list[Record]) -> list[str]:
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False)
    console.print(results(records))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().splitlines()


@pytest.mark.parametrize("folder", SUBMISSIONS, ids=lambda path: path.parent.name)
def test_two_tasks_cut_no_name_and_no_figure(folder: Path) -> None:
    records = [load_record(folder / f"{task}.json") for task in ("xquad-r", "mlqa-r")]
    lines = rendered(records)
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if "…" in line]
    words = {word.strip(",;") for line in lines for word in line.split()}
    assert set(records[0].task.metrics) <= words  # whole, each on one line
    for record in records:
        for rule in record.relevance:
            assert rule in words


def test_one_task_cuts_nothing_either() -> None:
    for path in BOARD.glob("*/*/xquad-r.json"):  # those of the ratio study, which have no further rules, among them
        lines = rendered([load_record(path)])
        assert max(map(len, lines)) <= WIDTH
        assert not [line for line in lines if "…" in line], path


def test_two_tasks_stand_side_by_side_where_they_fit() -> None:
    minilm = BOARD / "sentence-transformers__all-MiniLM-L6-v2" / "919e2292ca6b"
    for folder, tables in ((minilm, 1), (BOARD / "random" / "seed-0", 2)):
        lines = rendered([load_record(folder / f"{task}.json") for task in ("xquad-r", "mlqa-r")])
        assert sum(line.startswith("language_ndcg@10") for line in lines) == tables
    assert len(main_table([load_record(minilm / "xquad-r.json")]).rows) == 9


def test_where_answers_in_other_languages_stand() -> None:
    record = load_record(BOARD / "char-ngrams" / "1" / "xquad-r.json")
    head, line, _ = order_of_languages(record).split("\n")
    assert head.startswith("xquad-r: ")
    assert len(line) <= 80
    cells = line.split()
    places = dict(zip(cells[::2], map(float, cells[1::2]), strict=True))
    assert list(places.values()) == sorted(places.values())
    assert set(places) == set(record.task.languages)
    pairs = record.scores["multilingual"].by_language_pair
    others = [pairs[f"{query}>en"]["language_position"].value for query in record.task.languages if query != "en"]
    assert places["en"] == pytest.approx(sum(others) / len(others), abs=0.005)  # type: ignore[arg-type]
    assert order_of_languages(load_record(BOARD / "ratio-study__S1b_alpha-1_seed-09" / "24108576e2f4" / "xquad-r.json"))


def test_settings_and_measures_without_a_value_take_no_room() -> None:
    record = load_record(next(BOARD.glob("bm25/*/xquad-r.json")))
    name = next(name for name in record.scores["multilingual"].macro if parse_metric(name).kind == "bias")
    pooled = record.scores["multilingual"].model_copy(update={"by_query_language": {}})
    setattr(pooled, name, pooled.macro[name].model_copy(update={"value": None}))
    scores = {"cross-lingual": record.scores["cross-lingual"], "multilingual": pooled}
    lines = rendered([record.model_copy(update={"scores": scores})])
    assert not [line for line in lines if "Mo." in line.split()]
    assert not [line for line in lines if line.startswith(f"{name} ")]
    assert f"there is no value of {name}" in " ".join(lines)


def test_which_languages_fill_the_first_places() -> None:
    (record,) = evaluate("char-ngrams", ["mini"], metrics=["map", "language_share@10"])
    head, line, _ = shares_of_languages(record).split("\n")
    assert head == "mini: share of the first 10 places, mean over query languages (of the pool)"
    assert len(line) <= 80
    assert line.endswith("and 7 more")
    shares = [float(word) for word in line.split() if word.startswith(".")]
    pairs = record.scores["multilingual"].by_language_pair
    values = [
        figures["language_share@10"].value for pair, figures in pairs.items() if pair.endswith(f">{line.split()[0]}")
    ]
    assert shares[0] == pytest.approx(sum(values) / len(values), abs=5e-4)
    assert shares == sorted(shares, reverse=True)
    assert shares_of_languages(load_record(BOARD / "char-ngrams" / "1" / "xquad-r.json")) == ""
