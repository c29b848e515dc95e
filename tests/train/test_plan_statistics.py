"""Figures of a plan against their literal definitions; plans as tables and files; a plan in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.build import CODES, parallel, partly_parallel, planned
from xqr_bench.core.errors import DataError
from xqr_bench.train.batch_files import load_plan, plan_statistics, save_plan, summary_lines, to_frame
from xqr_bench.train.types import PlanRow

PARAGRAPHS = {i: i // 4 for i in range(60)}


@pytest.mark.parametrize(
    "arm",
    [
        {"alpha": 0.4},
        {"alpha": 0.4, "mix": "pair"},
        {"strategy": "x-y", "shuffle_positives": True},
        {"strategy": "x-x"},
    ],
)
def test_statistics_by_definition(arm: dict[str, object]) -> None:
    data = [parallel(60, CODES[:3], paragraph_of=PARAGRAPHS, name="a"), partly_parallel(50, CODES)]
    plan = planned(data, steps=25, batch_size=8, seed=3, **arm)
    for updates in (None, 10):
        found = plan_statistics(plan, data, updates)
        steps = range(updates or 25)
        rows: list[PlanRow] = [row for step in steps for row in plan.take(step)]
        repeats = Counter(rows)
        uses = Counter((row.data_set, row.question) for row in rows)
        same = [row.query_language == row.passage_language for row in rows]
        assert (found.updates, found.rows) == (len(steps), 8 * len(steps))
        assert {name: n for name, n in found.batches.items() if n} == Counter(plan.batch_type(step) for step in steps)
        assert found.same_language_rows == sum(same)
        assert found.ratio_rows == pytest.approx(sum(same) / len(same))
        mono = sum(plan.batch_type(step) == "monolingual" for step in steps) / len(steps)
        assert found.ratio_batches == (None if arm.get("mix") or arm.get("strategy") == "x-x" else pytest.approx(mono))
        assert found.questions == len(uses)
        assert found.question_rows_max == max(uses.values())
        assert found.question_rows_min == (min(uses.values()) if len(uses) == 110 else 0)
        assert found.distinct_pairs == len(repeats)
        assert found.distinct_pairs_same_language == sum(row.query_language == row.passage_language for row in repeats)
        assert found.distinct_pairs_cross_lingual == len(repeats) - found.distinct_pairs_same_language
        assert found.repeats_mean == pytest.approx(np.mean(list(repeats.values())))
        assert found.repeats_max == max(repeats.values())
        assert {k: n for k, n in found.query_rows.items() if n} == Counter(row.query_language for row in rows)
        assert {k: n for k, n in found.passage_rows.items() if n} == Counter(row.passage_language for row in rows)
        assert list(found.data_set_rows.values()) == [sum(row.data_set == d for row in rows) for d in (0, 1)]
        negatives, touched = [], []
        for step in steps:
            batch = plan.take(step)
            place = data[batch[0].data_set].paragraphs
            matches = [
                [i != j and place[a.question] == place[b.passage_question] for j, b in enumerate(batch)]
                for i, a in enumerate(batch)
            ]
            negatives.append(np.sum(matches))
            touched += [any(row) for row in matches]
        assert found.same_paragraph_negatives == pytest.approx(np.mean(negatives))
        assert found.same_paragraph_rows == pytest.approx(np.mean(touched))


def test_no_paragraph_known_is_no_figure() -> None:
    from dataclasses import replace

    data = replace(parallel(30), paragraphs=np.full(30, -1))
    found = plan_statistics(planned(data, alpha=0.5, steps=3, batch_size=4), [data])
    assert found.same_paragraph_negatives is None
    assert found.same_paragraph_rows is None


def test_plan_as_table() -> None:
    data = parallel(30)
    plan = planned(data, alpha=0.5, steps=6, batch_size=4, seed=1)
    frame = to_frame(plan, [data])
    assert len(frame) == 24
    row = frame.iloc[4 * 2 + 3]  # step 2, row 3
    wanted = plan.row(2, 3)
    assert (row.step, row.row, row.type) == (2, 3, plan.batch_type(2))
    assert (row.question, row.query_language, row.passage_language) == (
        data.ids[wanted.question],
        wanted.query_language,
        wanted.passage_language,
    )
    assert to_frame(plan).question.tolist() == plan.question.reshape(-1).tolist()


def test_plan_file(tmp_path: Path) -> None:
    data = [parallel(30), partly_parallel(40)]
    plan = planned(data, alpha=0.5, steps=6, batch_size=4, seed=1)
    path = save_plan(plan, tmp_path / "deep" / "plan.parquet")
    again = load_plan(path)
    assert load_plan(path, data).digest() == again.digest() == plan.digest()
    with pytest.raises(DataError, match="is not of this data"):
        load_plan(path, data[:1])
    assert (again.strategy, again.seed, again.arguments) == (plan.strategy, plan.seed, plan.arguments)
    assert (again.data_names, again.data_digests, again.languages) == (
        plan.data_names,
        plan.data_digests,
        plan.languages,
    )
    assert again.take(3) == plan.take(3)
    first = path.read_bytes()
    assert save_plan(plan, path).read_bytes() == first


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(DataError, match="is not a batch plan"):
        load_plan(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="is not a batch plan"):
        load_plan(tmp_path / "text.parquet")
    path = save_plan(planned(parallel(30), alpha=0.5, steps=6, batch_size=4, seed=1), tmp_path / "plan.parquet")
    table = pq.read_table(path)
    other = table.set_column(3, "question", pa.array(table["question"].to_numpy()[::-1].copy()))
    pq.write_table(other, path)
    with pytest.raises(DataError, match="not those it was saved with"):
        load_plan(path)


@pytest.mark.parametrize(
    "beside", [{"question": 30}, {"question": -1}, {"data_set": 1}, {"query_language": 3}, {"passage_question": 2**30}]
)
def test_a_plan_that_points_beside_its_data(tmp_path: Path, beside: dict[str, int]) -> None:
    data = [parallel(30)]
    plan = planned(data, alpha=0.5, steps=6, batch_size=4, seed=1)
    rows = {name: getattr(plan, name).copy() for name in beside}
    for name, value in beside.items():
        rows[name][2, 1] = value
    path = save_plan(replace(plan, **rows), tmp_path / "plan.parquet")
    with pytest.raises(DataError, match="its rows point beside it"):
        load_plan(path, data)


def test_plan_in_words() -> None:
    data = [parallel(30, paragraph_of=PARAGRAPHS)]
    lines = summary_lines(planned(data, alpha=0.5, steps=60, batch_size=10, seed=0), data)
    text = "\n".join(lines)
    found = plan_statistics(planned(data, alpha=0.5, steps=60, batch_size=10, seed=0), data)
    assert "data: made-up: 30 questions, each in 3 of 3 languages (de, en, es)" in text
    assert f"updates: 60 ({found.batches['monolingual']} monolingual" in text
    assert f"{found.ratio_batches:.1%} of the batches monolingual" in text
    assert "negatives from the same paragraph" in text
    assert sum("->" in line for line in lines) == 3
    two = [*data, partly_parallel(30)]
    assert any("rows by data set" in line for line in summary_lines(planned(two, alpha=1, steps=9, batch_size=4), two))
