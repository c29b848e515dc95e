"""`scores:DIR`: matrices matched by id, in shards and types, and every way in which they can fail to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_score_object import DATA, EXACT, SPEC, check
from tests.kit import ran, run, words
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.ranker import Task
from xqr_bench.record import Result

# a whole task of its own: a part may have ids of others beside it
WHOLE = replace(DATA, partial={})


def write(folder: Path, values: np.ndarray = EXACT, cuts: tuple[int, ...] = ()) -> Path:
    """The scores of the task, rows and columns in another order, cut into shards."""
    order = [np.random.default_rng(seed).permutation(size) for seed, size in enumerate(values.shape)]
    place = folder / "mini"
    place.mkdir(parents=True)
    mixed = values[np.ix_(*order)]
    for number, part in enumerate(np.split(mixed, cuts)):
        np.save(place / ("scores.npy" if not cuts else f"scores-{number + 9}.npy"), part)
    for name, items, of in (("queries", DATA.queries, order[0]), ("candidates", DATA.candidates, order[1])):
        (place / f"{name}.ids.txt").write_text("".join(f"{items[i].id}\n" for i in of), encoding="utf-8")
    return folder


def ranked(folder: Path, data: TaskData = WHOLE) -> Result:
    (record,) = evaluate(f"scores:{folder}", [Task(SPEC, data)], intervals=False)
    return record


@pytest.mark.parametrize("cuts", [(), (100, 101), (50,)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_matched_by_id(tmp_path: Path, dtype: type, cuts: tuple[int, ...]) -> None:
    cuts = tuple(min(cut, len(EXACT) - 1 - len(cuts) + i) for i, cut in enumerate(cuts))
    record = ranked(write(tmp_path / "mine", EXACT.astype(dtype), cuts))
    check(record, EXACT.astype(dtype))
    identity = record.model.identity
    assert (identity.kind, identity.name, identity.similarity) == ("scores", "mine", "none")
    assert record.warnings == [line for line in record.warnings if line.startswith("ties")]


def test_the_file_is_mapped_and_a_part_of_a_task_may_leave_rows_aside(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    part = replace(DATA, queries=DATA.queries[:3], relevants=DATA.relevants[:3], clusters=DATA.clusters[:3])
    with opened(f"scores:{folder}") as ranker:
        (record,) = evaluate(ranker, [Task(SPEC, part)], intervals=False)
        assert all(isinstance(shard, np.memmap) for shard in ranker._open["mini"].shards)
    whole = ranked(folder)
    rows = record.ranks.n_relevants
    np.testing.assert_array_equal(record.ranks.gt, whole.ranks.gt[:rows])
    assert record.model.identity.digest == whole.model.identity.digest
    with pytest.raises(EncoderError, match="of others"):
        ranked(folder, replace(part, partial={}))


def test_equal_texts_with_other_scores_are_told(tmp_path: Path) -> None:
    texts = list(DATA.candidates)
    texts[7] = replace(texts[7], text=texts[3].text)
    data = replace(WHOLE, candidates=tuple(texts))
    assert any("1 candidates have other scores" in line for line in ranked(write(tmp_path / "a"), data).warnings)
    values = EXACT.copy()
    values[:, 7] = values[:, 3]
    assert not any("other scores" in line for line in ranked(write(tmp_path / "b", values), data).warnings)


def ids(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    def edit(place: Path) -> None:
        path = place / f"{name}.ids.txt"
        path.write_text("\n".join(change(path.read_text(encoding="utf-8").split())) + "\n", encoding="utf-8")

    return edit


def saved(make: Callable[[np.ndarray], np.ndarray], name: str = "scores.npy") -> Callable[[Path], object]:
    return lambda place: np.save(place / name, make(np.load(place / "scores.npy")))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (ids("queries", lambda lines: lines[1:]), "ids for the"),
        (ids("queries", lambda lines: [lines[1], *lines[1:]]), "1 ids more than once"),
        (ids("candidates", lambda lines: ["x", *lines[1:]]), "1 of {n} are missing, 1 are of others found: no"),
        (lambda place: (place / "queries.ids.txt").unlink(), "there is no"),
        (lambda place: (place / "scores.npy").write_bytes(b"no"), "cannot be read as a .npy file"),
        (saved(lambda values: values.ravel()), "holds no matrix"),
        (saved(lambda values: values.astype(complex)), "no real numbers"),
        (saved(lambda values: values.T), "ids for the"),
        (saved(lambda values: values, "scores-0.npy"), "has both scores.npy and shards"),
        (saved(lambda values: np.where(values == values[2, 5], np.nan, values)), "nan for the query"),
        (lambda place: place.rename(place.with_name("other")), "has no scores of mini found: it has: other"),
    ],
)
def test_what_does_not_match(tmp_path: Path, damage: Callable[[Path], object], says: str) -> None:
    folder = write(tmp_path / "mine")
    damage(folder / "mini")
    with pytest.raises(EncoderError) as raised:
        ranked(folder)
    assert says.format(n=len(DATA.candidates)) in words(str(raised.value))


def test_shards_of_one_matrix(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", cuts=(2,))
    np.save(folder / "mini" / "scores-10.npy", np.load(folder / "mini" / "scores-10.npy")[:, 1:])
    with pytest.raises(EncoderError, match="different matrices"):
        ranked(folder)


def test_folders_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, error in (("", UsageError), ("nowhere", EncoderError), (".", EncoderError)):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(error), opened(f"scores:{name}"):
            pass
    write(tmp_path / "mine")
    command = "evaluate", "scores:mine", "--limit", "5", "--quiet"
    assert "--device cannot be used with scores" in run(*command, "--device", "cpu").err
    ran(*command)
    assert ran(*command).out == ran(*command).out  # answered by the record
    np.save("mine/mini/scores.npy", np.load("mine/mini/scores.npy") * 2)
    assert "the encoder's digest" in run(*command).err
