"""Tasks whose languages fall into groups that no question joins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.kit import Seen, vectors
from xqr_bench import evaluate
from xqr_bench.board import check
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import CROSS_LINGUAL, MULTILINGUAL, Candidate, Query, Ranks, TaskData
from xqr_bench.evaluation.evaluate import evaluate as evaluate_tasks
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.parts import joined_languages, rank_by_parts
from xqr_bench.record import load_record, recompute, save_record
from xqr_bench.record.rank_checks import check_possible
from xqr_bench.record.rank_files import load_ranks, ranks_digest, save_ranks
from xqr_bench.tasks import load_spec

pytestmark = pytest.mark.usefixtures("own_surroundings")

TASK = """
name = "pairs"
format = "aligned-pairs"
languages = ["de", "fr", "sw"]
candidate_languages = ["en-x-de", "en-x-fr", "en-x-sw"]
parallel = false
settings = ["cross-lingual"]
metrics = ["map", "success@1"]
groups = []

[files.de]
text = { path = "de.txt" }
translation = { path = "de.en.txt", candidates_in = "en-x-de" }

[files.fr]
text = { path = "fr.txt" }
translation = { path = "fr.en.txt", candidates_in = "en-x-fr" }

[files.sw]
text = { path = "sw.txt" }
translation = { path = "sw.en.txt", candidates_in = "en-x-sw" }
"""
LINES = {
    "de": ["Ich habe zwei Katzen.", "Der Fluss ist breit.", "Es regnet."],
    "de.en": ["I have two cats.", "The river is wide.", "It is raining."],
    "fr": ["J'ai deux chats.", "La table est verte."],
    "fr.en": ["I have two cats.", "The table is green."],
    "sw": ["Nina paka wawili.", "Mvua inanyesha.", "Asante.", "Karibu."],
    "sw.en": ["I have two cats.", "It is raining.", "Thank you.", "Welcome."],
}


def write(folder: Path, task: str = TASK) -> Path:
    for name, lines in LINES.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "pairs.toml").write_text(task, encoding="utf-8")
    return folder / "pairs.toml"


def scattered() -> TaskData:
    """Two groups: `a` and `b` ask of `x` and `y`, and `c` of `z`; nobody asks of `w`. Ties are frequent."""
    languages, sizes = ("x", "z", "w", "y"), (5, 4, 3, 6)
    candidates = [
        Candidate(f"{code}:{i}", code, f"{code}{i}")
        for code, size in zip(languages, sizes, strict=True)
        for i in range(size)
    ]
    asked = [("a", (0, 13)), ("a", (1,)), ("b", (14, 17)), ("c", (5,)), ("c", (6, 8)), ("c", (7,))]
    return TaskData(
        name="scattered",
        languages=languages,
        queries=tuple(Query(f"{code}:{i}", code, f"{code}{i}", f"{code} {i}") for i, (code, _) in enumerate(asked)),
        candidates=tuple(candidates),
        relevants=tuple(relevants for _, relevants in asked),
        clusters=(0, 1, 2, 3, 4, 4),
        gains=tuple(tuple(float(n + 1) for n in range(len(relevants))) for _, relevants in asked),
    )


def ranked(data: TaskData, settings: tuple[str, ...] = (CROSS_LINGUAL,)) -> tuple[Ranks, list[int]]:
    """Ranks of a task by parts, and how many candidates each product had."""
    queries, candidates = vectors(len(data.queries), 1, levels=2), vectors(len(data.candidates), 2, levels=2)
    sizes: list[int] = []

    def rank(part: TaskData, rows: np.ndarray, columns: np.ndarray, observe: object) -> Ranks:
        sizes.append(len(columns))
        assert [query.id for query in part.queries] == [data.queries[row].id for row in rows]
        assert [candidate.id for candidate in part.candidates] == [data.candidates[column].id for column in columns]
        return exact_ranks(part, queries[rows], candidates[columns], similarity="dot")

    return rank_by_parts(data, settings, rank), sizes


def test_languages_that_questions_join() -> None:
    pairs = [("a", "x"), ("b", "y"), ("c", "z"), ("b", "x"), ("c", "c")]
    groups = joined_languages(pairs)
    assert groups["a"] == groups["x"] == groups["b"] == groups["y"] != groups["c"] == groups["z"]
    assert len(set(groups.values())) == 2


def test_each_group_is_ranked_by_itself_and_lists_of_a_language_come_out_the_same() -> None:
    data = scattered()
    (whole, _), (parts, sizes) = ranked(data, (CROSS_LINGUAL, MULTILINGUAL)), ranked(data)
    assert (whole.separate, parts.separate, parts.own_lists, sizes) == (False, True, False, [11, 4])
    for name in ("own_gt", "own_eq"):
        np.testing.assert_array_equal(getattr(parts.counts, name), getattr(whole.counts, name))
    # above and beside a relevant of `x` or `y` stands what is in these two
    group = [0, 3]
    np.testing.assert_array_equal(parts.counts.gt[:5], whole.gt[:5, group].sum(axis=1))
    np.testing.assert_array_equal(parts.counts.gt[5:], whole.gt[5:, 1])
    for name in ("query_ids", "relevant_ids", "query_languages", "columns"):
        assert list(getattr(parts, name)) == list(getattr(whole, name))
    np.testing.assert_array_equal(parts.gains, whole.gains)
    check_possible(parts)


def test_a_task_of_one_group_is_ranked_as_a_whole() -> None:
    data = scattered()
    joined = replace(data, relevants=((0, 6, 13), *data.relevants[1:]), gains=None)
    assert not ranked(joined)[0].separate
    assert not ranked(replace(data, relevance=("paragraph",)))[0].separate


def test_there_is_no_figure_of_a_pool_of_all() -> None:
    ranks, _ = ranked(scattered())
    values = all_per_query(ranks, ["map"])
    reason = "each group of languages was ranked by itself, and there is no pool of all"
    assert values[MULTILINGUAL]["map"].undefined_reason == reason
    cross = values[CROSS_LINGUAL]["map"]
    assert [cell.pair for cell in cross.cells] == ["a>x", "a>y", "b>y", "c>z"]
    assert [cell.pair for cell in cross.absent] == ["b>x"]  # and not c>x: no question joins them


def test_the_file_says_so(tmp_path: Path) -> None:
    ranks, _ = ranked(scattered())
    save_ranks(ranks, tmp_path / "ranks.parquet")
    again = load_ranks(tmp_path / "ranks.parquet")
    assert (again.separate, again.own_parts) == (True, True)
    assert ranks_digest(again) == ranks_digest(ranks) != ranks_digest(replace(ranks, separate=False))


@pytest.mark.parametrize("ranker", ["char-ngrams", "bm25", "random", "oracle"])
def test_a_sentence_is_looked_for_among_the_translations_of_its_language(ranker: str, tmp_path: Path) -> None:
    seen = Seen()
    (record,) = evaluate_tasks(ranker, [write(tmp_path)], observe=seen)
    scores = record.scores[CROSS_LINGUAL]
    assert list(record.scores) == [CROSS_LINGUAL]
    assert list(scores.by_language_pair) == ["de>en-x-de", "fr>en-x-fr", "sw>en-x-sw"]
    assert scores.macro["map"].absent is None
    assert not any("language pairs" in warning for warning in record.warnings)
    assert [phase for phase, _ in seen.phases].count("ranking") == 1
    path = save_record(record, tmp_path / "results")
    again = load_record(path, ranks=True)
    assert again.ranks.separate
    assert recompute(again)[1] == []
    if ranker == "oracle":
        assert scores.macro["success@1"].value == 1.0


def test_accuracy_is_that_of_an_independent_computation(tmp_path: Path) -> None:
    record = evaluate("char-ngrams", write(tmp_path))
    from xqr_bench.encode import load_encoder

    encoder = load_encoder("char-ngrams")
    for code in ("de", "fr", "sw"):
        queries, candidates = encoder.encode_queries(LINES[code]), encoder.encode_candidates(LINES[f"{code}.en"])
        similarity = queries @ candidates.T / np.linalg.norm(candidates, axis=1)
        hits = similarity.argmax(axis=1) == np.arange(len(queries))
        figure = record.scores[CROSS_LINGUAL].by_query_language[code]["success@1"]
        assert figure.value == pytest.approx(hits.mean(), abs=1e-12)


def test_translations_of_one_sentence_are_one_cluster(tmp_path: Path) -> None:
    record = evaluate("char-ngrams", write(tmp_path))
    assert (record.task.n_questions, record.task.n_articles) == (9, 6)  # cats 3 times, rain twice


def test_scores_cannot_be_written_as_a_run_of_one_pool(tmp_path: Path) -> None:
    from tests.kit import run

    done = run("evaluate", "char-ngrams", "--task", str(write(tmp_path)), "--trec-run", str(tmp_path / "run"))
    assert (done.code, "has no scores to write" in done.err) == (1, True), done.err


def test_a_private_tag_tells_collections_of_a_language_apart(tmp_path: Path) -> None:
    assert load_spec(write(tmp_path)).pool == ("en-x-de", "en-x-fr", "en-x-sw")


def test_a_floor_is_known_as_such(tmp_path: Path) -> None:
    task = write(tmp_path)
    for name in LINES:
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} {i}\n" for i in range(200)), encoding="utf-8")
    (record,) = evaluate_tasks("random", [task])
    check._check_bound(record)
    better = replace(record.ranks, own_gt=np.zeros_like(record.ranks.own_gt))
    with pytest.raises(RecordError, match="these are not the ranks of the baseline random"):
        check._check_bound(record.model_copy(update={"ranks": better}))
