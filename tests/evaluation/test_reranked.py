"""Two stages against their literal definition, on the command line, and through pytrec_eval."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.kit import Seen, ran, read_json, run, words
from tests.rank.small import scores, spec, task
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import ModelIdentity, load_encoder
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.balanced import Balanced
from xqr_bench.evaluation.pairs import Pairs
from xqr_bench.evaluation.ranker import ScoreRanker, Task
from xqr_bench.evaluation.reranked import Reranked
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.index import IndexOptions

DATA = task(5, 8)


class Fixed(ScoreRanker):
    """Gives scores that are there, some rows at a time."""

    def __init__(self, pooled: np.ndarray, own: np.ndarray | None = None, rows: int = 4) -> None:
        self.name, self.pooled, self.rows = "fixed", pooled, rows
        self.own, self.own_lists = (pooled, False) if own is None else (own, True)

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(kind="plugin", name=self.name, similarity="none")

    def scores(self, part: TaskData, observe: object) -> Iterator[ScoreBlock]:
        for start in range(0, len(self.pooled), self.rows):
            pooled = self.pooled[start : start + self.rows].copy()
            own = self.own[start : start + self.rows].copy() if self.own_lists else pooled
            yield ScoreBlock(start, pooled, own)
            pooled[:] = own[:] = np.nan  # the next block may stand in its place


class OfPairs(Fixed):
    """Is asked for single pairs."""

    asked = 0

    def pair_scores(self, part: TaskData, pairs: Pairs, observe: object) -> np.ndarray:
        self.asked = len(pairs.queries)
        assert (np.diff(pairs.queries) >= 0).all()
        return self.pooled[pairs.queries, pairs.candidates]

    def pair_warnings(self) -> tuple[str, ...]:
        return ("told of pairs",)

    def seconds(self, data: TaskData, pairs: int, observe: object) -> float:
        return 60.0 * pairs

    def forget(self) -> None: ...


def literal(first: Fixed, second: Fixed, asked: Reranked) -> tuple[list[list[int]], int]:
    """Above and beside each relevant in the pool and in its language's list, by sorting whole lists; and the pairs."""
    rows, pairs = [], 0
    languages = [one.language for one in DATA.candidates]
    everything = range(len(DATA.candidates))
    for q in range(len(DATA.queries)):
        lists = [list(everything)]
        if asked.pool == "language":
            lists = [[c for c in everything if languages[c] == code] for code in DATA.languages]
        decides = first.own[q] if asked.pool == "language" else first.pooled[q]
        chosen: set[int] = set()
        for members in lists:
            best = sorted((c for c in members if decides[c] > -np.inf), key=lambda c: -decides[c])
            if len(best) <= asked.depth:
                chosen.update(best)
                continue
            edge = decides[best[asked.depth - 1]]
            level = [c for c in best if decides[c] >= edge]
            fits = len(level) <= 2 * asked.depth
            chosen.update(level if fits else [c for c in best if decides[c] > edge])
        chosen.update(DATA.relevants[q] if asked.add_relevants else ())
        pairs += len(chosen)

        def place(c: int, of_first: np.ndarray, of_second: np.ndarray, chosen: set[int] = chosen) -> tuple[bool, float]:
            return (c in chosen, float(of_second[c] if c in chosen else of_first[c]))

        for r in DATA.relevants[q]:
            row = []
            for members, one, two in (
                (everything, first.pooled[q], second.pooled[q]),
                ([c for c in everything if languages[c] == languages[r]], first.own[q], second.own[q]),
            ):
                own = place(r, one, two)
                places = [place(c, one, two) for c in members]
                missed = own == (False, -np.inf)  # -1 and 0, as of any ranking
                row += [-1, 0] if missed else [sum(other > own for other in places), places.count(own)]
            rows.append(row)
    return rows, pairs


@pytest.mark.parametrize("add_relevants", [False, True])
@pytest.mark.parametrize("pool", ["language", "pool"])
@pytest.mark.parametrize("of_pairs", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_ranks_are_those_of_the_literal_definition(pool: str, of_pairs: bool, own: bool, add_relevants: bool) -> None:
    for seed, (levels, depth) in enumerate([(3, 1), (4, 2), (None, 3), (2, 3), (5, 40)]):
        first = Fixed(scores(DATA, levels=levels, seed=seed), scores(DATA, levels=3, seed=9) if own else None)
        values = scores(DATA, levels=levels, seed=seed + 50)
        second = OfPairs(values) if of_pairs else Fixed(values, rows=3)
        asked = Reranked(first, second, depth=depth, pool=pool, add_relevants=add_relevants)
        (ranking,) = asked.rank([Task(spec(), DATA)], Seen())
        expected, pairs = literal(first, second, asked)
        np.testing.assert_array_equal(np.stack(ranking.ranks.counts, axis=1), expected)
        assert ranking.ranks.own_lists == own
        assert f"{pairs:,} pairs, " in ranking.warnings[-1]
        if isinstance(second, OfPairs):
            assert second.asked == pairs
            assert ranking.warnings[0] == "fixed: told of pairs"


def test_what_was_not_retrieved_is_not_ranked_again() -> None:
    values = scores(DATA)
    values[:, ::2] = -np.inf
    second = OfPairs(scores(DATA, seed=1))
    asked = Reranked(Fixed(values), second, depth=100)
    (ranking,) = asked.rank([Task(spec(), DATA)], Seen())
    assert second.asked == int((values > -np.inf).sum())
    np.testing.assert_array_equal(np.stack(ranking.ranks.counts, axis=1), literal(Fixed(values), second, asked)[0])


def test_the_record_names_both_stages_and_what_was_ranked_again() -> None:
    asked = Reranked(Fixed(scores(DATA)), OfPairs(scores(DATA)), depth=7, pool="pool", add_relevants=True)
    assert asked.name == "fixed > fixed, top 7 of the pool, relevants added"
    facts = asked.identity.reranking
    assert facts is not None
    assert (facts.first.name, facts.second.kind, facts.depth, facts.pool) == ("fixed", "plugin", 7, "pool")
    assert facts.relevants_added
    with pytest.raises(UsageError, match="two stages already"):
        Reranked(asked, asked.second)
    with pytest.raises(UsageError, match="--rerank-depth cannot be 0"):
        Reranked(asked.first, asked.second, depth=0)


# On the command line.

FEW = ("--task", "mini", "--languages", "de,en,th", "--limit", "6", "--metrics", "map,mrr,recall@10")


def test_a_cross_encoder_over_bm25(cross_encoder: Path, tmp_path: Path) -> None:
    out = ("--output", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache"))
    command = ("evaluate", "bm25", "--rerank", str(cross_encoder), "--rerank-depth", "3", *FEW, *out)
    done = ran(*command, "--rerank-arg", "device=cpu", "--trec-run", str(tmp_path / "runs"))
    (path,) = tmp_path.glob("out/*/mini.json")
    record = read_json(path)
    assert record["model"]["name"] == "bm25 > tiny-ce, top 3"
    identity = record["model"]["identity"]
    assert (identity["kind"], identity["similarity"]) == ("reranked", "none")
    facts = identity["reranking"]
    assert (facts["first"]["name"], facts["second"]["kind"], facts["depth"]) == ("bm25", "cross-encoder", 3)
    assert len(facts["second"]["digest"]) == 64
    settings = record["provenance"]["settings"]
    assert (settings["rerank"], settings["rerank_pool"], settings["k1"]) == ("tiny-ce", "language", 1.5)
    assert "scoring pairs" in done.err
    assert "the top 3 of the list of each language of bm25" in words(done.out)
    assert not list((tmp_path / "cache" / "pairs").glob("*/*"))  # the record is made
    assert "answers this" in ran(*command, "--rerank-arg", "device=cpu").err
    other = run(*command, "--rerank-arg", "max_length=20", "--name", record["model"]["name"])
    assert "answers another request" in other.err
    # pytrec_eval finds the same figures in what was written
    ran("evaluate", f"run:{tmp_path / 'runs'}", *FEW, "--name", "again", "--output", str(tmp_path / "out"))
    (again,) = tmp_path.glob("out/again/mini.json")
    checked = read_json(again)
    assert any("pytrec_eval" in str(one) for one in (checked["diagnostics"], checked["warnings"], checked)), checked
    for setting in record["scores"]:
        for metric in ("map", "mrr", "recall@10"):
            both = [one["scores"][setting][metric]["value"] for one in (record, checked)]
            assert both[0] == pytest.approx(both[1], abs=1e-9)


def test_an_encoder_over_an_encoder_balanced(tmp_path: Path) -> None:
    done = ran("evaluate", "char-ngrams", "--transform", "center", "--rerank", "bm25", "--rerank-pool", "pool",
               "--balanced", "--name", "mine", *FEW, "--output", str(tmp_path))  # fmt: skip
    (path,) = tmp_path.glob("*/mini.json")
    record = read_json(path)
    assert record["model"]["name"] == "mine, balanced"
    assert record["transform"]["name"] == "center"
    assert record["model"]["identity"]["kind"] == "run"
    assert "bm25" in done.out


def test_a_dry_run_tells_pairs_and_time(cross_encoder: Path) -> None:
    done = ran("evaluate", "char-ngrams", "--rerank", str(cross_encoder), "--rerank-depth", "5", "--dry-run", *FEW[:6])
    assert "char-ngrams: mini: 3 languages, 18 queries" in done.out
    assert "mini: 270 pairs of a query and a candidate to rank again, where nothing ties; about 0." in done.out
    alone = ran("evaluate", str(cross_encoder), "--dry-run", *FEW[:6])
    assert "mini: 540 pairs of a query and a candidate, about 0." in alone.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["bm25", "--rerank-depth", "5"], "--rerank-depth is given without --rerank"),
        (["bm25", "--rerank", "char-ngrams", "--rerank-pool", "all"], "--rerank-pool cannot be 'all'"),
        (["bm25", "--rerank", "char-ngrams", "--rerank-depth", "0"], "--rerank-depth cannot be 0"),
        (["bm25", "--rerank", "char-ngrams", "--rerank-arg", "size=5"], "option for --rerank-arg"),
        (["bm25", "--rerank", "char-ngrams", "--rerank-arg", "revision=5"], "--rerank-arg has an option that cannot"),
        (["char-ngrams", "--rerank", "bm25", "--index", "flat"], "--rerank needs the scores of all candidates"),
        (["random", "--rerank", "bm25"], "random has no scores of all candidates"),
        (["bm25", "--rerank", "oracle"], "oracle has no scores of all candidates"),
    ],
)
def test_what_has_no_meaning_is_refused(arguments: list[str], problem: str, tmp_path: Path) -> None:
    done = run("evaluate", *arguments, *FEW, "--output", str(tmp_path))
    assert done.code != 0
    assert problem in words(done.err)
    assert not list(tmp_path.glob("*/*"))


def test_a_run_that_is_stopped_says_what_is_kept(
    cross_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xqr_bench.encode.cross_encoder.SHARD_PAIRS", 20)
    made = []

    def stops(self: object, *arguments: object) -> np.ndarray:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(None)
        return np.zeros(sum(map(len, arguments[1])), dtype=np.float32)

    monkeypatch.setattr("xqr_bench.encode.cross_encoder.CrossEncoderModel._of_shard", _kept(stops))
    done = run("evaluate", "char-ngrams", "--rerank", str(cross_encoder), *FEW, "--output", str(tmp_path / "out"),
               "--cache-dir", str(tmp_path / "cache"))  # fmt: skip
    assert done.code == 130
    assert "scores of tiny-ce; the same command goes on" in words(done.err)
    assert not list(tmp_path.glob("out/*/*"))


def _kept(inner: object) -> object:
    def of_shard(self, name, *arguments):  # type: ignore[no-untyped-def]
        self._scores[name] = inner(self, name, *arguments)  # type: ignore[operator]
        return self._scores[name]

    return of_shard


def test_a_record_answers_its_own_request_and_no_other(tmp_path: Path) -> None:
    """Whatever is done to the vectors of the first stage; a change within a stage is named."""
    more = ("--limit", "2", "--languages", "de,en", "--task", "mini", "--no-cache", "--output", str(tmp_path))
    for asked in (
        ("--balanced",),
        ("--quantize", "int8", "--rescore", "5", "--balanced"),
        ("--rerank", "bm25", "--rerank-depth", "3"),
        ("--transform", "center", "--rerank", "bm25", "--rerank-depth", "3", "--balanced"),
    ):
        ran("evaluate", "char-ngrams", *asked, *more)
        assert "is there already and answers this" in ran("evaluate", "char-ngrams", *asked, *more).err, asked
        assert (
            "allow_zero_vectors: False, now True"
            in run("evaluate", "char-ngrams", "--allow-zero-vectors", *asked, *more).err
        )
    fused = ("evaluate", "fuse:rrf", "char-ngrams", "bm25", *more)
    ran(*fused)
    assert "is there already and answers this" in ran(*fused).err
    both = ("evaluate", "bm25", "--rerank", "char-ngrams", "--name", "one", *more)
    ran(*both)
    other = words(run(*both, "--rerank-arg", "similarity=dot", "--rerank-depth", "3").err)
    assert "the encoder's depth: 100, now 3; the encoder's part 2's similarity: cosine, now dot" in other


def test_vectors_of_the_second_stage_are_as_its_identity_has_them() -> None:
    first, encoder = Fixed(scores(DATA)), load_encoder("char-ngrams")
    for second in (
        VectorRanker(encoder, TransformOptions("center")),
        VectorRanker(encoder, index=IndexOptions("flat")),
    ):
        with pytest.raises(UsageError, match=r"would not say what was done|leave --index out"):
            Reranked(first, second)
        with pytest.raises(UsageError, match="would not say what was done"):
            Reranked(first, Balanced(second))


def test_two_stages_merged_in_turn_are_not_reproduced_as_they_were_before(tmp_path: Path) -> None:
    ran("evaluate", "bm25", "--rerank", "char-ngrams", "--balanced", "--name", "turns", "--output", str(tmp_path))
    (path,) = tmp_path.glob("*/mini.json")
    assert "there is no encoder to run again" in run("reproduce", str(path)).err
