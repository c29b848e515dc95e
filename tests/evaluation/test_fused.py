"""Several rankings made one, against the literal definition, through pytrec_eval, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.evaluation.test_score_object import DATA, SPEC, Shared
from tests.kit import ran, read_json, run
from xqr_bench.api.running import evaluate as evaluate_one
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL
from xqr_bench.encode import load_encoder
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.balanced import Balanced
from xqr_bench.evaluation.baselines import LexicalRanker, oracle_ranker
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.fused import Fused
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.index import IndexOptions
from xqr_bench.record import load_record


def given(lists: list[np.ndarray], method: str, weights: list[float], k: int) -> list[Fraction]:
    """What each candidate of one list is given together."""
    sums = [Fraction(0)] * len(lists[0])
    for scores, weight in zip(lists, weights, strict=True):
        exact = [Fraction(float(score)) for score in scores]
        low, high = min(exact), max(exact)
        for i, rank in enumerate(rankdata(-scores.astype(np.float64))):
            if method == "rrf":
                sums[i] += Fraction(weight) / (k + Fraction(float(rank)))
            elif high > low:
                sums[i] += Fraction(weight) * (exact[i] - low) / (high - low)
    return sums


@pytest.mark.parametrize(
    ("method", "k", "weights"), [("rrf", None, None), ("rrf", 3, [1, 0.25, 2]), ("combsum", None, [0.3, 0.7, 1])]
)
def test_ranks_are_those_of_the_definition(method: str, k: int | None, weights: list[float] | None) -> None:
    with opened(Shared()) as third:
        parts = [LexicalRanker(), VectorRanker(load_encoder("char-ngrams")), third]
        task, observe = Task(SPEC, DATA), Observer()
        (record,) = evaluate(Fused(parts, method, k, weights), [task], intervals=False)
        blocks = []
        for part in parts:
            (ranking,) = part.rank([task], observe)
            (block,) = ranking.whole(DATA)
            blocks.append((block.pooled.copy(), block.own.copy()))
    row, asked = 0, (method, weights or [1.0] * 3, 60 if k is None else k)
    for query, relevants in enumerate(DATA.relevants):
        pooled = given([block[0][query] for block in blocks], *asked)
        own = [
            one for a, b in pairwise(DATA.edges.tolist()) for one in given([of[1][query, a:b] for of in blocks], *asked)
        ]
        for relevant in relevants:
            column = int(DATA.candidate_columns[relevant])
            for code, (a, b) in enumerate(pairwise(DATA.edges.tolist())):
                assert record.ranks.gt[row, code] == sum(other > pooled[relevant] for other in pooled[a:b])
                assert record.ranks.eq[row, code] == sum(other == pooled[relevant] for other in pooled[a:b])
            a, b = DATA.edges[column : column + 2].tolist()
            assert record.ranks.own_gt[row] == sum(other > own[relevant] for other in own[a:b])
            assert record.ranks.own_eq[row] == sum(other == own[relevant] for other in own[a:b])
            row += 1
    assert record.ranks.own_lists
    assert row == record.ranks.n_relevants
    identity = record.model.identity
    assert [one.name for one in identity.models] == ["bm25", "char-ngrams", "Shared"]
    assert (identity.kind, identity.fusion.method, identity.similarity) == ("fused", method, "none")


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = "evaluate", "fuse:RRF", "bm25", "char-ngrams", "--limit", "6", "--metrics", "map,mrr,recall@10"
    ran(*command, "--trec-run", "runs")
    ran(
        "evaluate", "run:runs", "--limit", "6", "--name", "read", "--metrics", "map,mrr,recall@10"
    )  # by pytrec_eval too
    both = [load_record(f"results/{name}/mini.json").scores for name in ("rrf_bm25__char-ngrams_", "read")]
    for setting in (MONOLINGUAL, MULTILINGUAL):
        for metric, figure in both[0][setting].macro.items():
            assert figure.value == pytest.approx(both[1][setting].macro[metric].value, abs=1e-9)
    saved = read_json(Path("results/rrf_bm25__char-ngrams_/mini.json"))
    assert saved["model"]["name"] == "rrf(bm25, char-ngrams)"
    assert saved["provenance"]["arguments"]["model"] == "fuse:RRF bm25 char-ngrams"
    assert saved["provenance"]["texts"]["distinct"] > 0
    assert "is there already and answers this" in ran(*command).err  # though the dimensions are learnt
    named = *command, "--name", "mine"
    ran(*named, "--fuse-weights", "0.7,0.3", "--fuse-k", "10")
    other = run(*named, "--fuse-weights", "0.6,0.4", "--fuse-k", "10").err
    assert "the encoder's weights: (0.7, 0.3), now (0.6, 0.4)" in other
    assert "the encoder's weights: (0.7, 0.3), now (1.0, 1.0)" in run(*named).err
    ran(*command, "--balanced", "--name", "turns")


def test_an_option_is_for_the_models_that_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "class Pairs:\n    def score(self, q, c):\n        assert len(q) <= 3\n"
        "        return [[len(set(a) & set(b)) for b in c] for a in q]\n",
        encoding="utf-8",
    )
    command = "evaluate", "fuse:combsum", "bm25", "mine.py:Pairs", "--limit", "4"
    ran(*command, "--batch-size", "3")
    (path,) = Path("results").glob("*/mini.json")
    saved = read_json(path)
    assert [part["name"] for part in saved["provenance"]["settings"]["fused"]] == ["bm25", "Pairs"]
    assert saved["provenance"]["settings"]["fused"][1]["batch_size"] == 3
    again = run(*command, "--batch-size", "3").err
    assert "has no `revision`, so its ranks are compared" in again
    for more, says in (
        (["--dtype", "float16"], "--dtype: none of bm25, mine.py:Pairs takes it"),
        (["--query-prompt", "x"], "--query-prompt cannot be used with a fusion"),
        (["--transform", "center"], "--transform cannot be used with fuse"),
        (["--fuse-k", "3"], "--fuse-k cannot be 3 of combsum"),
        (["--fuse-weights", "1"], "1 weights are given for 2 rankings"),
        (["--fuse-weights", "1,-1"], "cannot be -1.0"),
        (["--fuse-weights", "a,b"], "write them as 0.7,0.3"),
    ):
        assert says in run(*command, *more).err
    for words, says in (
        (["bm25", "char-ngrams"], "one MODEL is scored at a time, not 2"),
        (["bm25", "--fuse-k", "3"], "--fuse-k is given without a fusion"),
        (["fuse:rrf", "bm25"], "names no rankings to fuse"),
        (["fuse:borda", "bm25", "bm25"], "names no rankings to fuse"),
        (["fuse:rrf", "bm25", "oracle"], "oracle has no scores of all candidates to fuse"),
        (["fuse:rrf", "bm25", "run:x"], "has no scores of all candidates to fuse"),
    ):
        assert says in run("evaluate", *words).err


def test_in_python(tmp_path: Path) -> None:
    record = evaluate_one("fuse:combsum bm25 char-ngrams", "mini", limit=3, cache=False)
    assert record.model.name == "combsum(bm25, char-ngrams)"
    encoder = load_encoder("char-ngrams")
    for parts, error in (
        ([LexicalRanker()], "one ranking cannot be fused"),
        ([LexicalRanker(), oracle_ranker()], "no scores"),
        ([LexicalRanker(), VectorRanker(encoder, index=IndexOptions("flat"))], "leave index"),
        ([LexicalRanker(), VectorRanker(encoder, TransformOptions("center"))], "leave index"),
        ([LexicalRanker(), Balanced(VectorRanker(encoder, TransformOptions("center")))], "leave index"),
    ):
        with pytest.raises(UsageError, match=error):
            Fused(parts)
    with pytest.raises(UnknownNameError, match="closest: combsum"):
        Fused([LexicalRanker(), LexicalRanker()], "combsun")
