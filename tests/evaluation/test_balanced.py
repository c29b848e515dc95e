"""The lists of single languages merged in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kit import read_json, run
from tests.rank.small import blocks, scores, task
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL
from xqr_bench.evaluation.balanced import WARNING, balanced
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import ranks_of_scores


def test_candidates_come_in_turns_of_the_languages() -> None:
    data = task(4, 9)
    values = scores(data)
    values[:, 9:18] += 100.0  # English first, whatever is asked
    plain = ranks_of_scores(data, blocks(values), own_lists=False)
    turns = ranks_of_scores(data, balanced(data, blocks(values)), own_lists=False)
    np.testing.assert_array_equal(turns.counts.own_gt, plain.counts.own_gt)  # within a language nothing changes
    np.testing.assert_array_equal(turns.gt.sum(axis=1), 3 * plain.counts.own_gt)
    assert (turns.eq == 1).all()
    names = ["language_share@9", "share_vs_pool@9", "map"]
    scored, _ = score(all_per_query(turns, names), {})
    assert scored[MULTILINGUAL].macro["share_vs_pool@9"].value == pytest.approx(0.0, abs=1e-12)
    assert scored[MULTILINGUAL].by_language_pair["de>en"]["language_share@9"].value == pytest.approx(1 / 3)
    before, _ = score(all_per_query(plain, names), {})
    assert scored[MONOLINGUAL].macro["map"].value == before[MONOLINGUAL].macro["map"].value


def test_what_was_not_retrieved_stays_so() -> None:
    data = task()
    values = scores(data)
    values[:, ::2] = -np.inf
    for block in balanced(data, blocks(values)):
        part = values[block.start : block.start + len(block.pooled)]
        np.testing.assert_array_equal(np.isneginf(block.pooled), np.isneginf(part))


def test_on_the_command_line_it_is_a_record_of_its_own(tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", "--task", "mini", "--balanced", "--metrics", "map,share_vs_pool@10",
               "--output", str(tmp_path))  # fmt: skip
    assert done.code == 0, done.err
    (path,) = tmp_path.glob("*/mini.json")
    record = read_json(path)
    assert record["model"]["name"] == "char-ngrams, balanced"
    assert record["model"]["identity"]["kind"] == "run"
    assert WARNING in record["warnings"]
    figure = record["scores"]["multilingual"]["share_vs_pool@10"]
    assert figure["value"] < 0.05
