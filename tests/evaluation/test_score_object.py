"""Code with `score(queries, candidates)`: what it may return, how it is called, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from tests.kit import ran, read_json, run, words
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError
from xqr_bench.core.types import MULTILINGUAL, TaskData
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.ranker import Task
from xqr_bench.record import Result, load_record
from xqr_bench.tasks import Selection
from xqr_bench.tasks.find import resolve_task

SPEC = resolve_task("mini").model_copy(update={"relevance": (), "metrics": ("map",)})
DATA = Selection(limit=5).load(SPEC)


def shared(queries: list[str], candidates: list[str]) -> list[list[float]]:
    """How many characters two texts share, of those they have: float64, not exact in float32, many ties."""
    sets = [[set(text.lower()) for text in texts] for texts in (queries, candidates)]
    return [[len(q & c) / len(q | c) for c in sets[1]] for q in sets[0]]


class Shared:
    returns = staticmethod(lambda rows: rows)

    def score(self, queries: list[str], candidates: list[str]) -> object:
        return type(self).returns(shared(queries, candidates))


def returning(made) -> type[Shared]:
    return type("Made", (Shared,), {"returns": staticmethod(made)})


def ranked(thing: object, data: TaskData = DATA, **options: object) -> Result:
    (record,) = evaluate(thing, [Task(SPEC, data)], options=EncoderOptions(**options), intervals=False)
    return record


def check(record: Result, values: np.ndarray) -> None:
    """The counts are those of comparing every score with every other."""
    row = 0
    for query, relevants in enumerate(DATA.relevants):
        for relevant in relevants:
            of_row = values[query]
            for code, (start, stop) in enumerate(zip(DATA.edges[:-1], DATA.edges[1:], strict=True)):
                assert record.ranks.gt[row, code] == (of_row[start:stop] > of_row[relevant]).sum()
                assert record.ranks.eq[row, code] == (of_row[start:stop] == of_row[relevant]).sum()
            row += 1
    assert row == record.ranks.n_relevants


EXACT = np.array(shared([one.text for one in DATA.queries], [one.text for one in DATA.candidates]))


async def later(rows: list) -> list:
    return rows


@pytest.mark.parametrize(
    ("made", "bits"),
    [
        (lambda rows: rows, np.float64),
        (np.array, np.float64),
        (csr_matrix, np.float64),
        (later, np.float64),
        (lambda rows: torch.tensor(rows, dtype=torch.float64), np.float64),
        (torch.tensor, np.float32),
        (lambda rows: torch.tensor(rows, dtype=torch.float16), np.float16),
        (lambda rows: [torch.tensor(row) for row in rows], np.float32),
    ],
)
def test_what_it_may_return(made, bits: type) -> None:
    record = ranked(returning(made)())
    check(record, EXACT.astype(bits))
    identity = record.model.identity
    assert (identity.kind, identity.similarity, identity.name, record.model.name) == ("python", "none", "Made", "Made")
    assert len(identity.digest) == 64
    assert not [line for line in record.warnings if not line.startswith("ties")]


def test_ties_are_those_of_64_bits() -> None:
    """Scores that differ beyond 32 bits are no ties."""
    close = EXACT * 1e-9 + 1
    assert len(np.unique(close.astype(np.float32))) < 20 < len(np.unique(close))
    check(ranked(returning(lambda rows: np.array(rows) * 1e-9 + 1)()), close)
    whole = (EXACT * 2**40).astype(np.int64)
    check(ranked(returning(lambda rows: (np.array(rows) * 2**40).astype(np.int64))()), whole)


def test_it_is_called_in_blocks_and_panels_and_equal_candidates_once() -> None:
    calls = []

    class Listed(Shared):
        def score(self, queries, candidates):
            calls.append((len(queries), len(candidates)))
            assert len(set(candidates)) == len(candidates)
            return super().score(queries, candidates)

    with opened(Listed(), EncoderOptions(batch_size=7)) as ranker:
        ranker.allow(64 * 7 * 20)
        record = ranked(ranker)
    check(record, EXACT)
    assert max(queries for queries, _ in calls) <= 7
    assert max(queries * candidates for queries, candidates in calls) <= 7 * 20
    assert record.provenance.settings["memory"] == 64 * 7 * 20
    assert record.ranks_file.digest == ranked(Shared()).ranks_file.digest


@pytest.mark.parametrize("axis", [0, 1])
def test_scores_that_depend_on_the_call_are_told(axis: int) -> None:
    def softmax(rows):
        powers = np.exp(20 * np.array(rows))
        return powers / powers.sum(axis=axis, keepdims=True)

    warnings = ranked(returning(softmax)()).warnings
    assert any("scores depend on which texts are scored together" in line for line in warnings)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (
            lambda rows: np.where(np.arange(len(rows))[:, None] == 2, np.nan, rows),
            f"nan for the query {DATA.queries[2].id} of mini",
        ),
        (lambda rows: np.array(rows) - np.inf, "-inf for the query"),
        (lambda rows: np.array(rows).T, f"shape ({len(DATA.candidates)}, {len(DATA.queries)})"),
        (lambda rows: [row[:3] for row in rows], "no score for each query and candidate"),
        (lambda rows: [rows[0][:2], *rows[1:]], "rows of different lengths"),
        (lambda rows: {"scores": rows}, "'scores'"),
        (lambda rows: np.ma.masked_array(rows), "masked"),
        (lambda rows: np.array(rows, complex), "no real numbers"),
        (lambda rows: np.array(rows) * 1e300, "32-bit"),
        (lambda rows: np.full(np.shape(rows), 2**60), "53 bits"),
        (lambda rows: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_it_may_not_return(made, says: str) -> None:
    with pytest.raises(XqrBenchError) as raised:
        ranked(returning(made)())
    assert says in words(str(raised.value))


def test_what_has_vectors_is_encoded() -> None:
    class Both(Shared):
        def encode(self, texts):
            return np.array([[1 + text.count(letter) for letter in "aeiou"] for text in texts])

    record = ranked(Both())
    assert (record.model.identity.similarity, record.model.identity.dimensions) == ("cosine", 5)
    assert "its vectors are ranked; its method score(queries, candidates) is not used" in record.warnings

    class Fitted(Both):
        def score(self, X, y=None):
            raise AssertionError

    assert not any("score(" in line for line in ranked(Fitted()).warnings)  # scikit-learn's is another


def test_forms_that_are_scored_and_others(tmp_path: Path) -> None:
    check(ranked(shared), EXACT)  # a function
    check(ranked(Shared), EXACT)  # a class, which is called

    class Three:
        def score(self, queries, candidates, weights):
            return None

    with pytest.raises(EncoderError, match="cannot be called with queries and candidates alone"):
        ranked(Three())
    with pytest.raises(UsageError, match="--query-prompt cannot be used with code that scores"):
        ranked(Shared(), query_prompt="query: ")
    with pytest.raises(EncoderError, match=r"or score\(queries, candidates\)"):
        ranked(object())


PROGRAM = """
import os
from pathlib import Path

class Shared:
    revision = os.environ.get("REVISION")

    def __init__(self, power=1):
        self.power = power

    def score(self, queries, candidates):
        return [[len(set(q) & set(c)) ** self.power for c in candidates] for q in queries]

    def close(self):
        Path("closed").write_text("")
"""


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shared_words.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setenv("REVISION", "3")
    command = ["evaluate", "shared_words.py:Shared", "--limit", "4", "--encoder-arg", "power=2", "--name", "mine"]
    ran(*command, "--batch-size", "9", "--memory", "1MiB", "--trec-run", "runs")
    assert Path("closed").is_file()
    record = read_json(Path("results/mine/mini.json"))
    identity = record["model"]["identity"]
    assert (identity["name"], identity["model_kwargs"], identity["revision"]) == (
        "shared_words.py:Shared",
        {"power": 2},
        "3",
    )
    ran("evaluate", "run:runs", "--limit", "4", "--name", "read", "--metrics", "map")
    both = [
        load_record(f"results/{name}/mini.json").scores[MULTILINGUAL].macro["map"].value for name in ("mine", "read")
    ]
    assert both[0] == pytest.approx(both[1], abs=1e-9)  # read by pytrec_eval too
    assert "is there already and answers this" in ran(*command).err
    done = run(*command, "--transform", "center")
    assert "--transform cannot be used with" in done.err
    done = run(*[word.replace("=2", "=3") for word in command])
    assert "answers another request" in done.err
