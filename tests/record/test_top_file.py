"""The best candidates of each query, in a file beside the record, and what of them stands in the ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from tests.kit import edit
from xqr_bench import load_encoder, load_record, load_task
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import MULTILINGUAL
from xqr_bench.encode import embedder_of
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.rank.exact import top_hits, vector_scores
from xqr_bench.record import Result, load_ranks, recompute, save_record, shortened
from xqr_bench.record.top_file import SCORE_BITS, check_top, rounded, save_top

NEED_HITS = ["map", "language_share@10", "share_vs_pool@10", "share_vs_relevants@10", "exposure_vs_pool"]
AGREEMENT = "ranking_agreement@10"
kinds = {
    "query_language": pa.string(),
    "question": pa.string(),
    "place": pa.int32(),
    "candidate": pa.string(),
    "score": pa.float64(),
    "tied": pa.int32(),
}


@pytest.fixture(scope="module")
def plain() -> Result:
    (record,) = evaluate("char-ngrams", ["mini"], metrics=["map"])
    return record


@pytest.fixture(scope="module")
def looked_at() -> Result:
    (record,) = evaluate("char-ngrams", ["mini"], metrics=[*NEED_HITS, AGREEMENT])
    return record


def test_the_file_has_ids_and_scores(plain: Result, tmp_path: Path) -> None:
    path = save_record(plain, tmp_path / "mini.json")
    table = pq.read_table(path.with_suffix(".top.parquet")).to_pylist()
    data = load_task("mini")
    (vectors,) = embedder_of(load_encoder("char-ngrams")).embed([data])
    row = 0
    for block in vector_scores(vectors.queries, vectors.candidates):
        for query, places, scores in zip(data.queries[block.start :], *top_hits(block.pooled, 20), strict=False):
            for place, (index, score) in enumerate(zip(places, scores, strict=True), start=1):
                kept = table[row].pop("score")
                assert kept == pytest.approx(score, rel=2.0**-SCORE_BITS, abs=0)
                assert (kept * 2**SCORE_BITS).is_integer() or abs(kept) < 0.5
                assert table[row] == {
                    "query_language": query.language,
                    "question": query.question,
                    "place": place,
                    "candidate": data.candidates[index].id,
                    "tied": int(place > 1 and score == scores[place - 2]),
                }
                row += 1
    assert row == len(table)


def test_it_comes_back(plain: Result, tmp_path: Path) -> None:
    path = save_record(plain, tmp_path / "mini.json")
    again = load_record(path, ranks=True)
    top, before = again.top_candidates(), plain.top_candidates()
    for query in range(plain.ranks.n_queries):
        assert top.of_query(query) == before.of_query(query)
    assert top.digest() == before.digest() == again.top_file.digest
    moved = save_record(again, tmp_path / "elsewhere" / "mini.json")
    assert load_record(moved, ranks=True).top_candidates().of_query(3) == before.of_query(3)


def test_ranks_hold_what_figures_follow_from(plain: Result, looked_at: Result, tmp_path: Path) -> None:
    assert plain.ranks.hits is None
    path = save_record(looked_at, tmp_path / "mini.json")
    assert load_ranks(path.with_suffix(".ranks.parquet")).hits is not None
    again = load_record(path, ranks=True)
    new, differences = recompute(again)
    assert differences == []
    for name in (*NEED_HITS, AGREEMENT):
        figure = new.scores[MULTILINGUAL].macro[name]
        assert figure.value is not None
        assert figure.interval is not None
        assert figure.article_interval is not None
        assert (figure.random_reference is None) == (name == "map")


def test_figures_of_the_literature_follow_from_the_file_alone(looked_at: Result, tmp_path: Path) -> None:
    """MRC@10, and the share of the query's own language among the first 10, as their papers define them."""
    table = pq.read_table(save_record(looked_at, tmp_path / "mini.json").with_suffix(".top.parquet")).to_pandas()
    first = table[table.place <= 10]
    scores = looked_at.scores[MULTILINGUAL]
    shares: dict[str, list[float]] = {code: [] for code in looked_at.task.languages}
    for (code, _), rows in table.groupby(["query_language", "question"]):
        best, own = rows.score.to_numpy(), (rows.candidate.str.partition(":")[0] == code).to_numpy()
        assert list(rows.place) == list(range(1, len(rows) + 1))
        assert (np.diff(best) <= 0).all()
        block = np.cumsum(rows.tied.to_numpy() == 0)
        assert block[-1] > block[9], "what ties with the tenth is in the file"
        above, tied = block < block[9], block == block[9]  # each of these has the same chance to be among the ten
        shares[code].append((own[above].sum() + own[tied].mean() * (10 - above.sum())) / 10)
    for code, of_language in shares.items():
        figure = scores.by_language_pair[f"{code}>{code}"]["language_share@10"].value
        assert np.mean(of_language) == pytest.approx(figure, abs=1e-12)
    by_query = first.groupby(["query_language", "question"])
    lists = {key: (rows.set_index("candidate").tied == 0).cumsum() for key, rows in by_query}
    agreements = []
    for one, other in permutations(looked_at.task.languages, 2):
        pairs = [(lists[one, question], lists[other, question]) for question in first.question.unique()]
        both = [[found.reindex(a.index.union(b.index), fill_value=99) for found in (a, b)] for a, b in pairs]
        agreements.append(np.mean([spearmanr(*of_question).statistic for of_question in both]))
    assert np.mean(agreements) == pytest.approx(scores.macro[AGREEMENT].value, abs=1e-12)


def test_a_submission_proves_the_languages_and_of_ids_only_with_its_file(looked_at: Result, tmp_path: Path) -> None:
    path = save_record(shortened(looked_at), tmp_path / "mini.json")
    short = load_record(path, ranks=True, whole=False)
    assert short.top_file is None
    assert recompute(short)[1] == []
    path.with_suffix(".top.parquet").unlink()
    short = load_record(path, ranks=True, whole=False)
    _, differences = recompute(short)
    assert differences
    assert all(difference.place.startswith(f"scores.{MULTILINGUAL}.{AGREEMENT}.") for difference in differences)
    with pytest.raises(RecordError, match="does not tell its best candidates"):
        short.top_candidates()


def test_a_record_of_before_loads_and_has_none(plain: Result, tmp_path: Path) -> None:
    path = save_record(plain, tmp_path / "mini.json")
    edit(path, lambda data: data.pop("top_file"))
    path.with_suffix(".top.parquet").unlink()
    old = load_record(path, ranks=True)
    assert recompute(old)[1] == []
    with pytest.raises(RecordError, match="older record"):
        old.top_candidates()


def test_files_of_others_are_refused(plain: Result, looked_at: Result, tmp_path: Path) -> None:
    path = save_record(plain, tmp_path / "a" / "mini.json")
    file, record = path.with_suffix(".top.parquet"), load_record(path, ranks=True)
    other = save_record(looked_at, tmp_path / "b" / "mini.json").with_suffix(".ranks.parquet")
    for content, message in ((other.read_bytes(), "no file of best candidates"), (b"no", "no file of best candidates")):
        file.write_bytes(content)
        with pytest.raises(RecordError, match=message):
            record.top_candidates()
    top = plain.top_candidates()
    changed = np.where(top.scores > 0, top.scores * np.float32(2), top.scores)
    save_top(replace(top, scores=changed), file)
    with pytest.raises(RecordError, match="are not those of the record"):
        record.top_candidates()
    table = pq.read_table(save_record(plain, tmp_path / "c" / "mini.json").with_suffix(".top.parquet"))
    facts = {"xqr_bench": json.dumps({"format": "xqr-bench top 1", "task": "mini"})}
    pq.write_table(table.drop_columns(["tied"]).replace_schema_metadata(facts), file)
    with pytest.raises(RecordError, match="an older xqr-bench wrote it"):
        record.top_candidates()
    file.unlink()
    with pytest.raises(RecordError, match="there is no file"):
        record.top_candidates()


def test_rounding_keeps_the_order_and_stays_near() -> None:
    generator = np.random.default_rng(0)
    scores = np.sort(generator.standard_normal(20_000) * 10.0 ** generator.integers(-30, 30, 20_000)).astype(np.float32)
    kept = rounded(scores)
    assert kept.dtype == np.float32
    assert (np.diff(kept) >= 0).all()
    assert (np.abs(kept.astype(np.float64) - scores) <= np.abs(scores.astype(np.float64)) * 2.0**-SCORE_BITS).all()
    assert (rounded(kept) == kept).all()
    assert (kept.view(np.uint32) % 2 ** (24 - SCORE_BITS) == 0).all()
    edge = np.finfo(np.float32)
    odd = np.array([0, -0.0, np.inf, -np.inf, np.nan, edge.max, edge.min, edge.smallest_subnormal], dtype=np.float32)
    assert np.isfinite(rounded(odd)).tolist() == np.isfinite(odd).tolist()
    assert rounded(odd)[[0, 1, 2, 3, 7]].tolist() == odd[[0, 1, 2, 3, 7]].tolist()


def test_what_rounding_makes_equal_ties_no_more_than_before(plain: Result) -> None:
    """The scores of one encoder may differ by less than is kept of them."""
    top = plain.top_candidates()
    level = replace(top, scores=np.where(top.places >= 0, np.float32(0.5), top.scores))
    check_top(level, plain.ranks)
    assert [one.tied for one in level.of_query(0)] == [one.tied for one in top.of_query(0)]
    gt, eq, *_ = plain.ranks.counts
    for row in np.flatnonzero((gt > 0) & (gt < 18) & (eq == 1))[:50].tolist():
        query, at = int(plain.ranks.row_queries[row]), int(gt[row])
        for place in (at, at + 1):  # with the one before it, and the next with it
            tied = level.tied.copy()
            tied[query, place] = True
            with pytest.raises(RecordError, match="they tie otherwise than the ranks say"):
                check_top(replace(level, tied=tied), plain.ranks)


def test_ties_that_the_ranks_tell_are_marked() -> None:
    (record,) = evaluate(Coarse(), ["mini"], metrics=["map"])
    top = record.top_candidates()
    assert top.tied.any()
    with pytest.raises(RecordError, match="they tie otherwise than the ranks say"):
        check_top(replace(top, tied=np.zeros_like(top.tied)), record.ranks)


Columns = dict[str, list[Any]]


def swap(columns: Columns, first: int, second: int) -> None:
    for name in ("candidate", "score"):  # the places and ties stay
        values = columns[name]
        values[first], values[second] = values[second], values[first]


def rename(columns: Columns, row: int, name: str) -> None:
    columns["candidate"][row] = name


def lift(columns: Columns, row: int, score: float) -> None:
    columns["score"][row] = score


def tie(columns: Columns, row: int, value: int) -> None:
    columns["tied"][row] = value


def away(columns: Columns, row: int) -> None:
    for values in columns.values():
        values.pop(row)


def again(columns: Columns, row: int) -> None:
    for values in columns.values():
        values.insert(row, values[row])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda columns: swap(columns, 0, 1), "not in order"),
        (lambda columns: lift(columns, 0, float("nan")), "a score is no number"),
        (lambda columns: lift(columns, 0, float("inf")), "a score is no number"),
        (lambda columns: tie(columns, 0, 1), "a candidate ties with none"),
        (lambda columns: tie(columns, 0, 2), "neither that it ties"),
        (lambda columns: tie(columns, 19, 1), "tie have several scores"),
        (lambda columns: rename(columns, 1, columns["candidate"][0]), "a candidate stands there twice"),
        (lambda columns: rename(columns, 0, "xx:0"), "a candidate is of no language of the pool"),
        (lambda columns: rename(columns, 0, "en:nobody"), "of other languages than the ranks say"),
        (lambda columns: away(columns, 19), "fewer of them than could be"),
        (lambda columns: again(columns, 0), "two candidates stand at one place"),
        (lambda columns: columns.update(place=[place + 1 for place in columns["place"]]), "not among the first 20"),
        (lambda columns: columns.update(question=["?", *columns["question"][1:]]), "names a query"),
    ],
)
def test_a_submission_is_held_against_its_ranks(
    change: Callable[[Columns], None], problem: str, plain: Result, tmp_path: Path
) -> None:
    path = save_record(shortened(plain), tmp_path / "mini.json")
    file = path.with_suffix(".top.parquet")
    table = pq.read_table(file)
    columns = table.to_pydict()
    assert columns["candidate"][0].startswith("ar:")
    change(columns)
    made = pa.table(columns, schema=pa.schema([(name, kinds[name]) for name in columns]))
    pq.write_table(made.replace_schema_metadata(table.schema.metadata), file)
    with pytest.raises(RecordError, match=problem):
        load_record(path, ranks=True, whole=False).top_candidates()


def test_a_relevant_cannot_move(plain: Result) -> None:
    """Neither to another place of its query, nor out of it, for another candidate of its language."""
    ranks, top = plain.ranks, plain.top_candidates()
    gt, eq, *_ = ranks.counts
    number = {name: index for index, name in enumerate(top.ids)}
    moved = 0
    for row in np.flatnonzero((gt < 10) & (eq == 1))[:200].tolist():
        query, at = int(ranks.row_queries[row]), int(gt[row])
        places = top.places.copy()
        assert places[query, at] == number[ranks.relevant_ids[row]]
        places[query, [at, at + 5]] = places[query, [at + 5, at]]
        with pytest.raises(RecordError, match="do not follow from the ranks"):
            check_top(replace(top, places=places), ranks)
        places[query, [at, at + 5]] = len(top.ids), top.places[query, at + 5]
        nobody = f"{ranks.columns[ranks.relevant_columns[row]]}:nobody"
        with pytest.raises(RecordError, match="a relevant is missing that its rank puts there"):
            check_top(replace(top, places=places, ids=[*top.ids, nobody]), ranks)
        moved += 1
    assert moved == 200


def test_any_ranker_agrees_with_its_ranks(plain: Result) -> None:
    """Ties of BM25, of the oracle, and of vectors of three values; recompute looks too."""
    for ranker in ("bm25", "random", "oracle", Coarse()):
        (record,) = evaluate(ranker, ["mini"], metrics=["map"])
        check_top(record.top_candidates(), record.ranks)
        assert recompute(record)[1] == []
    wrong = replace(plain.top_candidates(), scores=-plain.top_candidates().scores)
    with pytest.raises(RecordError, match="do not follow"):
        recompute(plain.model_copy(update={"top": wrong}))


class Coarse:
    """Nearly everything ties."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, len(text) % 3 + 1] for text in texts], dtype=np.float32)


def test_new_ranks_without_candidates_take_the_old_ones_away(plain: Result, looked_at: Result, tmp_path: Path) -> None:
    path = save_record(plain, tmp_path / "mini.json")
    (other,) = evaluate("bm25", ["mini"], metrics=["map"])
    save_record(other.model_copy(update={"top": None, "top_file": None}), path)
    assert not path.with_suffix(".top.parquet").exists()
    assert sorted(tmp_path.glob(".*")) == []
    save_record(shortened(plain), path)
    assert load_record(path, ranks=True, whole=False).find_top() is not None
    save_record(other, path)
    assert load_record(path, ranks=True).top_candidates().of_query(0) == other.top_candidates().of_query(0)
