"""Data sets of ir_datasets: with the library where it is installed, else with a stand-in of the same form."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.kit import ran, run
from xqr_bench import evaluate
from xqr_bench.core.errors import DataError, TaskError, UsageError
from xqr_bench.core.observe import Notice
from xqr_bench.core.types import CROSS_LINGUAL, JUDGED, MONOLINGUAL
from xqr_bench.record import load_record, recompute, save_record
from xqr_bench.tasks import load_spec, load_task

pytestmark = pytest.mark.usefixtures("own_surroundings")

INSTALLED = find_spec("ir_datasets") is not None
DOCS = "d1\tIt rains.\nd2\tIt snows.\nd3\tThe sun.\n"
QUERIES = "q1\train?\nq2\tsnow?\n"
QRELS = "q1 0 d1 2\nq1 0 d3 0\nq2 0 d2 1\nq2 0 d1 -2\n"


class Doc(NamedTuple):
    doc_id: str
    text: str

    def default_text(self) -> str:
        return self.text


class OldQuery(NamedTuple):
    """As of a version that has no default_text."""

    query_id: str
    title: str
    text: str = ""


class Qrel(NamedTuple):
    query_id: str
    doc_id: str
    relevance: int


class Dataset:
    def __init__(
        self, asked: str | None = "en", answered: str | None = "en", parts: str = "docs queries qrels"
    ) -> None:
        self._languages, self._parts = (asked, answered), parts.split()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("has_"):
            return lambda: name.removeprefix("has_") in self._parts
        raise AttributeError(name)

    def queries_lang(self) -> str | None:
        return self._languages[0]

    def docs_lang(self) -> str | None:
        return self._languages[1]

    def docs_iter(self) -> Iterator[Doc]:
        return (Doc(*line.split("\t")) for line in DOCS.splitlines())

    def queries_iter(self) -> Iterator[OldQuery]:
        return (OldQuery(*line.split("\t")) for line in QUERIES.splitlines())

    def qrels_iter(self) -> Iterator[Qrel]:
        rows = (line.split() for line in QRELS.splitlines())
        return (Qrel(query, doc, int(grade)) for query, _, doc, grade in rows)


SETS = {
    "weather/test": Dataset(),
    "weather/fa": Dataset("en", "fa"),
    "weather/mixed": Dataset("en", None),
    "weather": Dataset(parts="docs"),
}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("ir_datasets")
    vars(stand_in).update(load=SETS.__getitem__, registry=SETS)
    monkeypatch.setitem(sys.modules, "ir_datasets", stand_in)


@pytest.mark.usefixtures("library")
def test_an_id_is_a_task(tmp_path: Path) -> None:
    spec = load_spec("irds:weather/test")
    assert (spec.name, spec.languages, spec.settings) == ("irds-weather-test", ("en",), (MONOLINGUAL,))
    with pytest.warns(Notice, match="irds-weather-test, en: 1 grades below 0 are read as 0"):
        data = load_task(spec)
    assert [(one.id, one.text) for one in data.candidates][:2] == [("en:d1", "It rains."), ("en:d2", "It snows.")]
    assert [query.text for query in data.queries] == ["rain?", "snow?"]
    assert (data.relevants, data.gains, data.irrelevant) == (((0,), (1,)), ((2.0,), (1.0,)), ((2,), (0,)))
    (name, digest) = next(iter(data.files.items()))
    assert (name, len(digest)) == ("irds:weather/test", 64)
    with pytest.warns(Notice):
        result = evaluate("char-ngrams", "irds:weather/test", cache=False)
    assert result.relevance[JUDGED].scores[MONOLINGUAL].macro["bpref"].n == 2
    assert recompute(load_record(save_record(result, tmp_path / "weather.json"), ranks=True))[1] == []


@pytest.mark.usefixtures("library")
def test_languages_are_the_library_s_or_the_task_file_s() -> None:
    spec = load_spec("irds:weather/fa")
    assert (spec.languages, spec.pool, spec.settings) == (("en",), ("fa",), (CROSS_LINGUAL,))
    with pytest.warns(Notice):
        assert load_task(spec).candidates[0].id == "fa:d1"
    with pytest.raises(TaskError, match=r"ir_datasets does not state the languages of weather/mixed") as caught:
        load_spec("irds:weather/mixed")
    assert 'write a task file: format = "irds"' in str(caught.value)


@pytest.mark.usefixtures("library")
def test_a_task_file_names_languages_and_ids(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'name = "own"\nformat = "irds"\nlanguages = ["en"]\ncandidate_languages = ["sw"]\n'
        'settings = ["cross-lingual"]\n[files]\nen = { path = "weather/mixed", candidates_in = "sw" }\n'
    )
    with pytest.warns(Notice):
        data = load_task(file)
    assert (data.query_languages, data.languages) == (("en",), ("sw",))
    assert "relevant sw:d1 (sw), gain 2" in ran("tasks", "check", str(file)).out


@pytest.mark.usefixtures("library")
def test_several_data_sets_are_one_pool(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'name = "own"\nformat = "irds"\nlanguages = ["en"]\ncandidate_languages = ["fa", "ru"]\n'
        'settings = ["cross-lingual", "multilingual"]\n[files]\n'
        'fa = { path = "weather/fa", questions_in = "en", candidates_in = "fa" }\n'
        'ru = { path = "weather/mixed", questions_in = "en", candidates_in = "ru" }\n'
    )
    with pytest.warns(Notice):
        data = load_task(file)
    assert [query.id for query in data.queries] == ["en:q1", "en:q2"]
    assert [data.candidates[index].id for index in data.relevants[0]] == ["fa:d1", "ru:d1"]
    assert list(data.files) == ["irds:weather/fa", "irds:weather/mixed"]


@pytest.mark.usefixtures("library")
def test_what_the_library_has_not() -> None:
    with pytest.raises(DataError, match=r"ir_datasets has no data set 'weather/tset'\n  found: closest: weather/test"):
        load_spec("irds:weather/tset")
    with pytest.raises(DataError, match="the data set weather of ir_datasets has no queries and no qrels"):
        load_spec("irds:weather")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(UsageError, match="irds:a/b needs the library ir_datasets") as caught:
        load_spec("irds:a/b")
    assert str(caught.value).endswith("to do: pip install 'xqr-bench[irds]'")
    assert "pip install 'xqr-bench[irds]'" in run("evaluate", "char-ngrams", "--task", "irds:a/b").err


@pytest.mark.skipif(not INSTALLED, reason="needs ir_datasets (pip install 'xqr-bench[irds]')")
def test_the_library_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that is registered through its own API, and ids that it knows."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    import ir_datasets
    from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
    from ir_datasets.util import LocalDownload

    for name, text in (("docs.tsv", DOCS), ("queries.tsv", QUERIES), ("qrels.txt", QRELS)):
        (tmp_path / name).write_text(text)
    docs, queries, qrels = (LocalDownload(tmp_path / name) for name in ("docs.tsv", "queries.tsv", "qrels.txt"))
    made = ir_datasets.Dataset(TsvDocs(docs, lang="en"), TsvQueries(queries, lang="en"), TrecQrels(qrels, {}))
    ir_datasets.registry.register("weather-of-xqr-bench", made)
    with pytest.warns(Notice):
        data = load_task("irds:weather-of-xqr-bench")
    assert (data.relevants, data.gains, data.irrelevant) == (((0,), (1,)), ((2.0,), (1.0,)), ((2,), (0,)))
    assert load_spec("irds:beir/scifact/test").languages == ("en",)
    with pytest.raises(DataError, match="has no data set 'beir/scifakt'"):
        load_spec("irds:beir/scifakt")
