"""Scores written as runs and read back: the same counts, the same figures."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from tests.rank.small import blocks, scores, spec, task
from xqr_bench.core.errors import RunError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, Ranks, TaskData
from xqr_bench.evaluation.runs import RunReader, ranks_of_run
from xqr_bench.measure.metrics.per_query import setting_views
from xqr_bench.measure.peers import PytrecEval, compare
from xqr_bench.rank.exact import ranks_of_scores
from xqr_bench.rank.runs import TaskRuns, check_settings, task_lists

METRICS = ["map", "mrr", "recall@1", "recall@3", "success@1", "success@3", "ndcg@3", "rank_distance"]


def written(data: TaskData, values: np.ndarray, folder: Path, depth: int = 1000) -> list[Path]:
    return TaskRuns(data, folder, SETTINGS, tag="my system", depth=depth).write(blocks(values))


def read(data: TaskData, folder: Path) -> tuple[Ranks, dict[str, object]]:
    peer = PytrecEval(METRICS)
    counts = {
        setting: RunReader(folder / "small" / f"{setting}.run.gz", data, task_lists(data, setting), peer).read()
        for setting in SETTINGS
    }
    ranks = ranks_of_run(data, counts)
    found = {
        (item.setting, item.metric): item
        for setting, view in setting_views(ranks, SETTINGS).items()
        for item in compare(view, peer, counts[setting].theirs)
    }
    return ranks, found


def lines(path: Path) -> list[list[str]]:
    return [text.split() for text in gzip.decompress(path.read_bytes()).decode().splitlines()]


@pytest.mark.parametrize("levels", [None, 2, 4, 1])
def test_full_depth_gives_the_same_counts(tmp_path: Path, levels: int | None) -> None:
    data = task()
    values = scores(data, levels=levels)
    written(data, values, tmp_path)
    ranks, found = read(data, tmp_path)
    exact = ranks_of_scores(data, blocks(values))
    for name in ("gt", "eq", "own_gt", "own_eq"):
        np.testing.assert_array_equal(getattr(ranks, name), getattr(exact, name), err_msg=name)
    assert ranks.depth is None
    assert {item.difference <= 1e-9 for item in found.values()} == {True}
    assert len(found) == 3 * 7  # the bias measure has no counterpart


@pytest.mark.parametrize("levels", [None, 3])
def test_a_cut_keeps_what_is_above_it(tmp_path: Path, levels: int | None) -> None:
    data = task(n=6, per_language=9)
    values = scores(data, levels=levels, seed=3)
    written(data, values, tmp_path, depth=5)
    ranks, found = read(data, tmp_path)
    exact = ranks_of_scores(data, blocks(values))
    assert ranks.depth == 5
    kept = (ranks.gt >= 0).all(axis=1)
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(ranks.gt[kept], exact.gt[kept])
    assert (ranks.eq[kept] <= exact.eq[kept]).all()
    assert (ranks.eq[~kept] == 0).all()
    assert (exact.gt[~kept].sum(axis=1) + exact.eq[~kept].sum(axis=1) > 5).all()
    assert {item.difference <= 1e-9 for item in found.values()} == {True}


def test_the_files(tmp_path: Path) -> None:
    data = task()
    values = scores(data)
    paths = written(data, values, tmp_path, depth=4)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"small/{setting}.run.gz" for setting in (MONOLINGUAL, CROSS_LINGUAL, MULTILINGUAL)
    ]
    for path, n_lists in zip(paths, (11, 20, 11), strict=True):
        rows = lines(path)
        assert len(rows) == 4 * n_lists
        assert {len(row) for row in rows} == {6}
        assert {row[5] for row in rows} == {"my_system"}
        assert [row[3] for row in rows] == ["1", "2", "3", "4"] * n_lists
    crossed = {row[0] for row in lines(paths[1])}
    assert {"de:q0>en", "de:q0>th", "en:q1>de"} <= crossed
    assert "en:q1>th" not in crossed  # nothing in Thai answers it
    qrels = (tmp_path / "small" / "cross-lingual.qrels").read_text().splitlines()
    assert qrels[:2] == ["de:q0>en 0 en:0:0:0 1", "de:q0>th 0 th:0:0:0 1"]


def test_the_size_that_is_announced(tmp_path: Path) -> None:
    data = task()
    runs = TaskRuns(data, tmp_path, SETTINGS, tag="name", depth=4)
    paths = runs.write(blocks(scores(data)))
    assert runs.lines == {path.name.split(".")[0]: len(lines(path)) for path in paths}
    size = sum(len(gzip.decompress(path.read_bytes())) for path in paths)
    assert runs.plain_bytes == pytest.approx(size, rel=0.1)
    assert f"{tmp_path / 'small'}: 168 lines (monolingual 44, cross-lingual 80, multilingual 44), about " in str(runs)


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    data = task()
    first, second = (written(data, scores(data), tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_every_float32_comes_back(tmp_path: Path) -> None:
    data = task()
    values = scores(data)
    values[0, :4] = [np.float32(1) + np.finfo(np.float32).eps, 1.0, 1e-45, -3.4e38]
    paths = written(data, values, tmp_path)
    column = {candidate.id: number for number, candidate in enumerate(data.candidates)}
    row = {query.id: number for number, query in enumerate(data.queries)}
    for query, _, document, _, score, _ in lines(paths[2]):
        assert np.float32(score) == values[row[query], column[document]]


def test_ties_stand_in_the_order_of_trec_eval(tmp_path: Path) -> None:
    """Its figure is that of the file's own order, with or without a cut through the tie."""
    data = task(n=6, per_language=9)
    paths = written(data, scores(data, levels=2), tmp_path, depth=7)
    qrels = pytrec_eval.parse_qrel((tmp_path / "small" / "multilingual.qrels").read_text().splitlines())
    by_score, by_rank = {}, {}
    for query, _, document, rank, score, _ in lines(paths[2]):
        by_score.setdefault(query, {})[document] = float(score)
        by_rank.setdefault(query, {})[document] = -float(rank)
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recip_rank"})
    assert evaluator.evaluate(by_score) == evaluator.evaluate(by_rank)


def test_ids_with_blanks_cannot_be_written(tmp_path: Path) -> None:
    data = task()
    object.__setattr__(data.queries[0], "id", "de:q 0")
    with pytest.raises(RunError, match="small cannot be written as a TREC run: the query id 'de:q 0' holds a blank"):
        TaskRuns(data, tmp_path, SETTINGS, tag="x")


def test_a_depth_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--trec-depth cannot be 0"):
        TaskRuns(task(), tmp_path, SETTINGS, tag="x", depth=0)


def test_settings_to_write() -> None:
    assert check_settings(None, spec()) == SETTINGS
    assert check_settings([MULTILINGUAL, MONOLINGUAL], spec()) == (MONOLINGUAL, MULTILINGUAL)
    with pytest.raises(UnknownNameError, match=r"no setting named 'bilingual'"):
        check_settings(["bilingual"], spec())
    with pytest.raises(UsageError, match="small has none of the settings to write"):
        check_settings([CROSS_LINGUAL], spec(settings=(MONOLINGUAL,)))


def test_a_failure_leaves_no_run(tmp_path: Path) -> None:
    data = task()

    def failing():
        yield from blocks(scores(data)[:5])
        raise RuntimeError("stop")

    runs = TaskRuns(data, tmp_path, SETTINGS, tag="x")
    with pytest.raises(RuntimeError, match="stop"):
        runs.write(failing())
    assert sorted(path.suffix for path in (tmp_path / "small").iterdir()) == [".qrels"] * 3
