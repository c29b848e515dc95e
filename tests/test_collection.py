"""Collections by column are those that are held as objects: the same items, errors, notes and records."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.test_shards import in_shards, refuse_differences
from xqr_bench.core import collection
from xqr_bench.core.collection import Columns, Digests, Places, StoredTexts, first_of_each, longest_first
from xqr_bench.core.errors import DataError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import TaskData
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.texts import plan_groups
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.merged import merge_shards
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.tasks import load_task, resolve_task
from xqr_bench.tasks.load import keep_languages
from xqr_bench.tasks.readers import judged

TEXTS = ["", "plain", "größer", "ว่าง", "\U0001f600 smile", "half \ud83d", "plain", "a\nb", "größer"]


class Notes(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two candidates are many."""
    monkeypatch.setattr(judged, "HELD", 2)
    monkeypatch.setattr(collection, "_AT_ONCE", 3)


# Texts in a file.


def test_texts_are_those_that_were_written(by_column: None) -> None:
    stored = StoredTexts.of(TEXTS)
    assert list(stored) == TEXTS
    assert [stored[at] for at in range(-1, len(TEXTS))] == [TEXTS[at] for at in range(-1, len(TEXTS))]
    assert list(stored[2:7:2]) == TEXTS[2:7:2]
    mixed = np.array([5, 1, 1, 0, 8])
    assert list(stored.take(mixed)) == [TEXTS[at] for at in mixed]
    both = StoredTexts.joined([stored.take(mixed), stored, StoredTexts.of(["last"])])
    assert list(both) == [*(TEXTS[at] for at in mixed), *TEXTS, "last"]
    assert list(StoredTexts.of([])) == []
    with pytest.raises(IndexError):
        stored[len(TEXTS)]


def test_equal_texts_and_their_order() -> None:
    for texts in (TEXTS, StoredTexts.of(TEXTS)):
        first, numbers = first_of_each(texts)
        assert first.tolist() == [0, 1, 2, 3, 4, 5, 7]
        assert numbers.tolist() == [0, 1, 2, 3, 4, 5, 1, 6, 2]
    different = [*dict.fromkeys(TEXTS), "kürzer", "\uffff....", "\U00010000....", "\ud800....", "e\u0301", "é"]
    lengths = np.array(list(map(len, different)))
    order = longest_first(StoredTexts.of(different), lengths).tolist()
    assert [different[at] for at in order] == sorted(different, key=lambda text: (-len(text), text))


def test_places_of_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"d{number % 70}" for number in range(100)]

    def few_bits(texts: Sequence[str]) -> Any:
        """Digests whose first half is the same for many."""
        packed = Digests(texts).all().copy()
        packed[:, :8] = packed[:, :1] % 3
        return packed

    for digests in (Digests(ids).all(), few_bits(ids)):
        places = Places(digests, ids)
        assert sorted(places.again()) == [(number, number + 70) for number in range(30)]
    kept = Places(Digests(ids).all(), ids).keep(np.arange(100) < 70)
    assert {one: kept[one] for one in kept} == {f"d{number}": number for number in range(70)}
    assert "d70" not in kept


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(collection._TextFile, "write", full)
    with pytest.raises(DataError, match=r"do not fit into the folder of temporary files, .*\n.*No space.*\n.*TMPDIR"):
        StoredTexts.of(["text"])


def test_nothing_is_left_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stored = StoredTexts.of(TEXTS)
    assert list(tmp_path.iterdir()) == []
    assert list(stored) == TEXTS


# Tasks.


def write_task(folder: Path, corpora: dict[str, Sequence[str]], head: str = "") -> Path:
    """A task of the format trec, a section for each language; every passage but the last answers a question."""
    folder.mkdir(exist_ok=True)
    said = ['name = "own"', 'format = "trec"', f"languages = {list(corpora)}".replace("'", '"'), "parallel = false"]
    said += ['settings = ["monolingual", "multilingual"]', head]
    for section, lines in corpora.items():
        (folder / f"{section}.corpus").write_text("\n".join(lines) + "\n", encoding="utf-8")
        ids = [line.split("\t")[0] for line in lines if not line.startswith("{")][:-1]
        (folder / f"{section}.q").write_text("".join(f"q{one}\tWhere is {one}?\n" for one in ids), encoding="utf-8")
        judged_as = [f"q{one} 0 {other} {int(one == other)}\n" for one in ids for other in (one, ids[0])]
        (folder / f"{section}.r").write_text("".join(dict.fromkeys([*judged_as, "q9 0 gone 1\n"])), encoding="utf-8")
        said.append(f"[files.{section}]")
        said += [f'{part} = {{ path = "{section}.{end}" }}' for part, end in zip(PARTS, ENDS, strict=True)]
    (folder / "own.toml").write_text("\n".join(said), encoding="utf-8")
    return folder / "own.toml"


PARTS, ENDS = ("corpus", "queries", "qrels"), ("corpus", "q", "r")
ENGLISH = [
    "e1\tA river runs.",
    "e2\tA lake.",
    "e1\tA river runs.",
    "e3\t ",
    "e4\tA lake.",
    "e5\tThe\u00a0sea, and it is.",
]
GERMAN = ["d1\tEin Fluss.", "d2\tEin See.", "d3\tDas Meer ist groß."]
OWN = '{"xqr_bench": {"id": "e7"}}'
SPLIT = ['{"_id": "x1", "text": "In Thai.", "lang": "th"}', *GERMAN]


def both_ways(path: Path, **part: Any) -> tuple[tuple[TaskData, list[str]], tuple[TaskData, list[str]]]:
    """A task read by column and as objects, with what was told."""
    read = []
    for held in (2, 10**6):
        judged.HELD, told = held, Notes()
        read.append((load_task(path, observe=told, **part), told.lines))
    return read[0], read[1]


@pytest.mark.parametrize("part", [{}, {"languages": ["de"]}, {"limit": 2}])
def test_a_task_is_the_same(by_column: None, tmp_path: Path, part: dict[str, Any]) -> None:
    path = write_task(tmp_path, {"en": ENGLISH, "de": GERMAN}, 'relevance = ["judged"]')
    (columns, told), (objects, told_then) = both_ways(path, **part)
    assert isinstance(columns.candidates, Columns)
    assert isinstance(objects.candidates, tuple)
    assert columns == objects
    assert told == told_then
    assert columns.column_sizes.tolist() == objects.column_sizes.tolist()
    assert list(columns.candidates.ids) == [one.id for one in objects.candidates]
    assert keep_languages(columns, ["de"]) == keep_languages(objects, ["de"])


def test_languages_that_candidates_name(by_column: None, tmp_path: Path) -> None:
    """A section may hold several languages, a language stand in several sections; others are left out."""
    head = 'candidate_languages = ["de", "en"]'
    path = write_task(
        tmp_path, {"en": [*ENGLISH, *('{"_id": "d1", "text": "Ein Fluss.", "lang": "deu"}',)], "de": SPLIT}, head
    )
    (columns, told), (objects, told_then) = both_ways(path)
    assert columns == objects
    assert [one.language for one in columns.candidates] == ["de"] * 3 + ["en"] * 4
    assert sorted(told) == sorted(told_then)


def test_notes_are_in_the_order_of_the_file(by_column: None, tmp_path: Path) -> None:
    """What is left out, with the first example of each reason."""
    again = [f"e{row % 6}\tText {row % 6}." for row in range(18)]
    (_, told), (_, told_then) = both_ways(write_task(tmp_path, {"en": ["e9\t ", *again, "e9\t "]}))
    assert told == told_then
    assert "1 candidates have no text and are left out, such as e9" in told[0]
    assert "13 candidates stand there again with the same text and count once, such as e0" in told[1]


WRONG: dict[str, dict[str, Sequence[str]]] = {
    "another text": {"en": [*ENGLISH, "e2\tAnother lake."]},
    "no word": {"en": [*ENGLISH, "e 6\tText."]},
    "several": {"en": [f"e{row % 8}\t{row}" for row in range(16)]},
    "an id that an export gives two texts": {
        "en": [
            *ENGLISH,
            *(f'{{"_id": "x{row}", "text": "Text {row}.", "metadata": {OWN}}}' for row in range(2)),
            "e6\tX.",
        ]
    },
    "two sections": {"en": [*ENGLISH, '{"_id": "d2", "text": "Anders.", "lang": "de"}'], "de": GERMAN},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_the_same(wrong: str, by_column: None, tmp_path: Path) -> None:
    path = write_task(tmp_path, WRONG[wrong])
    said = []
    for held in (2, 10**6):
        judged.HELD = held
        with pytest.raises(DataError) as caught:
            load_task(path, observe=Notes())
        said.append(str(caught.value))
    assert said[0] == said[1]


def made(folder: Path, size: int) -> Path:
    """A task of some hundred passages, of which some are the same."""
    draws = np.random.Generator(np.random.PCG64(7))
    words = ["rain", "snow", "sun", "wind", "fog", "hail"]
    corpora = {
        code: [f"{code}{row}\t{' '.join(draws.choice(words, draws.integers(1, 6)))}" for row in range(size)]
        for code in ("en", "de", "th")
    }
    return write_task(folder, corpora)


def test_texts_are_planned_alike(by_column: None, tmp_path: Path) -> None:
    (columns, _), (objects, _) = both_ways(made(tmp_path, 40))
    for symmetric in (True, False):
        groups = zip(
            plan_groups([columns], symmetric=symmetric), plan_groups([objects], symmetric=symmetric), strict=True
        )
        for one, other in groups:
            assert list(one.texts) == list(other.texts)
            for mine, theirs in zip(one.destinations, other.destinations, strict=True):
                assert mine.text_of_row.tolist() == theirs.text_of_row.tolist()


@pytest.mark.parametrize("ranker", ["bm25", "char-ngrams", "model"])
def test_records_are_the_same(ranker: str, by_column: None, tmp_path: Path, model: Path) -> None:
    path, told = made(tmp_path, 40), EncoderOptions(device="cpu")
    (columns, _), (objects, _) = both_ways(path)
    tasks = [Task(resolve_task(path), data) for data in (columns, objects)]

    def result(task: Task) -> Any:
        one: Any = VectorRanker(load_encoder(str(model), told)) if ranker == "model" else ranker
        return evaluate(one, [task])[0]

    records = [result(task) for task in tasks]
    refuse_differences(records[0], records[1], tmp_path)
    if ranker == "char-ngrams":
        in_shards(ranker, tasks[:1], tmp_path / "shards", 3)
        refuse_differences(merge_shards(tmp_path / "shards", tasks[1:])[0], records[1], tmp_path)


def test_vectors_made_before(by_column: None, tmp_path: Path) -> None:
    (columns, _), (objects, _) = both_ways(path := made(tmp_path, 40))
    folder = tmp_path / "vectors" / "own"
    folder.mkdir(parents=True)
    draws = np.random.Generator(np.random.PCG64(2))
    for name, items in (("queries", objects.queries), ("candidates", objects.candidates)):
        np.save(folder / f"{name}.npy", draws.standard_normal((len(items), 6), dtype=np.float32))
        (folder / f"{name}.ids.txt").write_text("".join(f"{one.id}\n" for one in items), encoding="utf-8")
    tasks = [Task(resolve_task(path), data) for data in (columns, objects)]
    one, other = (evaluate(f"precomputed:{tmp_path / 'vectors'}", [task])[0] for task in tasks)
    assert any("equal texts have different vectors" in line for line in one.warnings)
    refuse_differences(one, other, tmp_path)
    in_shards(f"precomputed:{tmp_path / 'vectors'}", tasks[:1], tmp_path / "shards", 2)
    refuse_differences(merge_shards(tmp_path / "shards", tasks[:1])[0], other, tmp_path)


def test_texts_are_not_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(judged, "HELD", 100)
    monkeypatch.setattr(collection, "_AT_ONCE", 64)
    path = write_task(tmp_path, {"en": [f"e{row}\t{row} {'long ' * (row % 400)}" for row in range(3_000)]})
    (tmp_path / "en.q").write_text("q1\tWhich?\n", encoding="utf-8")
    (tmp_path / "en.r").write_text("q1 0 e5 1\n", encoding="utf-8")
    load_task(path)  # what is loaded at the first call
    tracemalloc.start()
    data = load_task(path)
    plan_groups([data], symmetric=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data.candidates) == 3_000
    assert most < (tmp_path / "en.corpus").stat().st_size / 4
