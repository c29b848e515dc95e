"""Lenient and paragraph relevance from the data to the record: by hand, against pytrec_eval, and back from the file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from tests.conftest import needs_data
from tests.kit import BOARD, ROOT, edit, read_json
from xqr_bench import evaluate
from xqr_bench.analysis.asked import Choice
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import LENIENT, MONOLINGUAL, MULTILINGUAL, PARAGRAPH, Ranks, TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.measure.certainty import attach_certainty
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import unit_vectors
from xqr_bench.rank.rules import group_relevants, variant_metrics
from xqr_bench.record import Record, load_record, recompute, save_record, to_json
from xqr_bench.report.listings import repeated_answers
from xqr_bench.tasks import load_task, resolve_task

PEER = {
    "map": "map",
    "mrr": "recip_rank",
    "recall@10": "recall_10",
    "success@1": "success_1",
    "success@10": "success_10",
    "ndcg@10": "ndcg_cut_10",
}


@pytest.fixture(scope="module")
def record() -> Record:
    return evaluate("char-ngrams", "mini", languages=["de", "en", "th"], cache=False)


@pytest.fixture(scope="module")
def lexical() -> Record:
    return evaluate("bm25", "mini", languages=["de", "en", "th"])


def hand_made(tmp_path: Path) -> TaskData:
    """One paragraph of four sentences in each of two languages; the answer stands in two of them."""
    texts = ["Anna kam 1874.", "Der Turm ist von 1874.", "Er hat Licht.", "Man sieht ihn."]
    for code, sentences in (("de", texts), ("en", ["Anna came in 1874.", "It is of 1874.", "It has light.", "Seen."])):
        context = " ".join(sentences)
        starts = [context.index(sentence) for sentence in sentences]
        paragraph = {
            "context": context,
            "sentences": sentences,
            "sentence_breaks": [[start, start + len(text)] for start, text in zip(starts, sentences, strict=True)],
            "qas": [
                {
                    "id": "q1",
                    "question": "When was the tower built?",
                    "answers": [{"answer_start": context.index("1874", starts[1]), "text": "1874"}],
                }
            ],
        }
        body = {"data": [{"title": "t", "paragraphs": [paragraph]}]}
        (tmp_path / f"{code}.json").write_text(json.dumps(body), encoding="utf-8")
    (tmp_path / "task.toml").write_text(
        'name = "hand-made"\nlanguages = ["de", "en"]\nrelevance = ["lenient", "paragraph"]\n'
        '[files]\nde = { path = "de.json" }\nen = { path = "en.json" }\n',
        encoding="utf-8",
    )
    return load_task(tmp_path / "task.toml")


def test_by_hand(tmp_path: Path) -> None:
    """The echo stands first: strict AP of a language 1/2; lenient 1; paragraph counts all four sentences."""
    data = hand_made(tmp_path)
    assert data.relevants[0] == (1, 5)
    assert data.echoes == ((0, 4), (0, 4))
    # scores of the candidates: de 9 8 1 2, en 7 6 3 4
    candidates = np.array([[9], [8], [1], [2], [7], [6], [3], [4]], dtype=np.float32)
    ranks = exact_ranks(data, np.ones((2, 1), dtype=np.float32), candidates, similarity="dot")

    def ap(found: Ranks, setting: str) -> list[float]:
        return all_per_query(found, ["map"], [setting])[setting]["map"].values.tolist()

    # pool by score: de0 de1 en4 en5 en7 en6 de3 de2; strict relevants at 2 and 4
    assert ap(ranks, MONOLINGUAL) == pytest.approx([1 / 2, 1 / 2])
    assert ap(ranks, MULTILINGUAL) == pytest.approx([(1 / 2 + 2 / 4) / 2] * 2)
    lenient = ranks.variants[LENIENT]
    assert lenient.removed.tolist() == [[1, 1], [1, 1]]
    assert ap(lenient, MONOLINGUAL) == pytest.approx([1.0, 1.0])
    assert ap(lenient, MULTILINGUAL) == pytest.approx([1.0, 1.0])
    assert ap(ranks.variants[PARAGRAPH], MULTILINGUAL) == pytest.approx([1.0, 1.0])
    shares = all_per_query(ranks.variants[PARAGRAPH], ["top_right_own", "top_right_other"])[MULTILINGUAL]
    assert shares["top_right_own"].values.tolist() == [1.0, 0.0]
    assert shares["top_right_other"].values.tolist() == [0.0, 1.0]
    strict = all_per_query(ranks, ["top_wrong_own", "top_wrong_other", "language_ndcg@10"])[MULTILINGUAL]
    assert strict["top_wrong_own"].values.tolist() == [1.0, 0.0]
    assert strict["top_wrong_other"].values.tolist() == [0.0, 1.0]
    d = 1 / np.log2(np.arange(2, 10))
    ideal = 2 * d[0] + d[1]
    expected = [(2 * d[1] + d[3]) / ideal, (d[1] + 2 * d[3]) / ideal]
    assert strict["language_ndcg@10"].values.tolist() == pytest.approx(expected)


def mini() -> TaskData:
    return load_task("mini", languages=["de", "en", "th"])


def xquad() -> TaskData:
    return load_task("xquad-r", languages=["de", "en", "th"], limit=40)


@pytest.mark.parametrize("make", [pytest.param(mini, id="mini"), pytest.param(xquad, id="xquad-r", marks=needs_data)])
@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH, "language"])
def test_equal_to_pytrec_eval(make, rule: str) -> None:
    """Untied queries: a run without the sentences that leave; all of the paragraph in the qrels; gains 2 and 1."""
    data = make()
    vectors = embed_tasks(load_encoder("char-ngrams", EncoderOptions()), [data])[data.name]
    ranks = exact_ranks(data, vectors.queries, vectors.candidates)
    scores = (unit_vectors(vectors.queries) @ unit_vectors(vectors.candidates).T).astype(np.float64)
    languages = np.array([candidate.language for candidate in data.candidates])
    wanted = group_relevants(data) if rule == PARAGRAPH else data.relevants
    names = {"language_ndcg@10": "ndcg_cut_10"} if rule == "language" else PEER
    found = all_per_query(ranks if rule == "language" else ranks.variants[rule], list(names))
    left = 0
    for setting in [MULTILINGUAL] if rule == "language" else [MONOLINGUAL, MULTILINGUAL]:
        values = found[setting]
        qrels, run, untied = {}, {}, []
        for number, query in enumerate(values[next(iter(names))].queries.tolist()):
            own = data.queries[query].language
            out = set(data.echoes[query]) if rule == LENIENT else set()
            left += len(out)
            pool = [i for i in range(len(languages)) if setting == MULTILINGUAL or languages[i] == own]
            pool = [i for i in pool if i not in out]
            relevant = [i for i in wanted[query] if i in set(pool)]
            gain = {i: 2 if rule == "language" and languages[i] == own else 1 for i in relevant}
            qrels[str(number)] = {str(i): gain[i] for i in relevant}
            run[str(number)] = {str(i): float(scores[query, i]) for i in pool}
            ordered = np.sort(scores[query, pool])
            at = np.searchsorted(ordered, scores[query, relevant])
            near = [np.diff(ordered[max(0, i - 1) : i + 2]).min(initial=1.0) for i in at]
            untied.append(min(near) > 1e-6)
        keep = np.flatnonzero(untied)
        assert len(keep) > 0.3 * len(untied)
        theirs = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)
        for ours, name in names.items():
            expected = np.array([theirs[str(number)][name] for number in keep])
            np.testing.assert_allclose(values[ours].values[keep], expected, atol=1e-9)
    assert rule != LENIENT or left > 0


@pytest.mark.parametrize("which", ["record", "lexical"])
def test_there_and_back(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made: Record = request.getfixturevalue(which)
    path = save_record(made, tmp_path / "mini.json")
    loaded = load_record(path, ranks=True)
    assert list(loaded.relevance) == [LENIENT, PARAGRAPH]
    for name in (LENIENT, PARAGRAPH):
        mine, theirs = made.ranks.variants[name], loaded.ranks_under(name)
        for field in ("gt", "eq", "own_gt", "own_eq", "removed", "offsets", "relevant_columns", "top"):
            a, b = getattr(mine, field), getattr(theirs, field)
            assert (a is None) == (b is None)
            assert a is None or (a == b).all(), (name, field)
    new, differences = recompute(loaded)
    assert differences == []
    assert to_json(new) == path.read_text(encoding="utf-8")
    for name in (LENIENT, PARAGRAPH):
        assert all(not scores.by_language_pair for scores in loaded.relevance[name].scores.values())


def test_a_changed_figure_is_found(record: Record, tmp_path: Path) -> None:
    path = save_record(record, tmp_path / "mini.json")
    edit(path, lambda data: data["relevance"]["paragraph"]["scores"]["multilingual"]["map"].update(value=0.9))
    _, differences = recompute(load_record(path, ranks=True))
    assert [found.place for found in differences] == ["relevance.paragraph.multilingual.map.value"]


def test_files_that_do_not_belong(record: Record, lexical: Record, tmp_path: Path) -> None:
    mine, other = save_record(record, tmp_path / "a.json"), save_record(lexical, tmp_path / "b.json")
    paragraph = tmp_path / "a.paragraph.parquet"
    content = paragraph.read_bytes()
    paragraph.write_bytes((tmp_path / "b.paragraph.parquet").read_bytes())
    with pytest.raises(RecordError, match=r"not possible|are not those of the record"):
        load_record(mine, ranks=True).ranks_under(PARAGRAPH)
    paragraph.write_bytes((tmp_path / "a.lenient.parquet").read_bytes())
    with pytest.raises(RecordError, match="does not hold paragraph relevance of mini"):
        load_record(mine, ranks=True).ranks_under(PARAGRAPH)
    paragraph.write_bytes(content[:-9])
    with pytest.raises(RecordError, match="cannot be read"):
        load_record(mine, ranks=True).ranks_under(PARAGRAPH)
    paragraph.unlink()
    with pytest.raises(RecordError, match="there is no file"):
        recompute(load_record(mine, ranks=True))
    load_record(other, ranks=True)


def test_impossible_ranks_are_refused(record: Record, tmp_path: Path) -> None:
    from xqr_bench.record.relevance_files import check_relevance

    strict, lenient, paragraph = record.ranks, record.ranks.variants[LENIENT], record.ranks.variants[PARAGRAPH]
    check_relevance(LENIENT, strict, lenient)
    check_relevance(PARAGRAPH, strict, paragraph)
    assert lenient.removed is not None
    with pytest.raises(RecordError, match="more candidates left than there are"):
        check_relevance(LENIENT, strict, replace(lenient, removed=lenient.removed * 0))
    with pytest.raises(RecordError, match="a count is negative"):
        check_relevance(LENIENT, strict, replace(lenient, gt=strict.gt + 1))
    moved = paragraph.gt.copy()
    moved[np.argmax(moved)] += 10**6
    with pytest.raises(RecordError, match="counts exceed the pool"):
        check_relevance(PARAGRAPH, strict, replace(paragraph, gt=moved))
    moved = paragraph.gt.copy()
    rows = np.flatnonzero(paragraph.row_queries == 0)
    upper, lower = rows[np.argsort(moved[rows, 0])[-2:]]
    moved[lower] = moved[upper]  # two in a place where a single candidate stands
    with pytest.raises(RecordError, match=r"contradict|more than the pool"):
        check_relevance(PARAGRAPH, strict, replace(paragraph, gt=moved))


def test_compared_under_a_rule(record: Record, lexical: Record, tmp_path: Path) -> None:
    paths = [save_record(record, tmp_path / "a.json"), save_record(lexical, tmp_path / "b.json")]
    for rule in (LENIENT, PARAGRAPH):
        (found,) = compare(paths, Choice(relevance=rule), resamples=200)
        assert found.relevance == rule
        for one in found.family("confirmatory"):
            assert one.value_a == pytest.approx(record.relevance[rule].scores[one.setting].macro["map"].value)
    (pairs,) = compare(paths, Choice(relevance=LENIENT, languages=("en>de",)), resamples=200)
    assert any(one.key == "en>de" for one in pairs.comparisons)


def test_a_record_without_says_why(tmp_path: Path) -> None:
    spec = resolve_task("mini").model_copy(update={"relevance": ()})
    plain = evaluate("char-ngrams", spec, languages=["de", "en"], limit=4, cache=False)
    assert plain.relevance == {}
    with pytest.raises(RecordError, match=r"has no lenient relevance\n  found: it is older, or was made with --no-rel"):
        plain.scores_under(LENIENT)


def test_counts_of_echoes_in_the_mini_task() -> None:
    """The rule itself: same paragraph, same language, the answer's characters, not relevant."""
    data = mini()
    for relevant, out in zip(data.relevants, data.echoes, strict=True):
        paragraphs = {data.candidates[index].group for index in relevant}
        assert not set(relevant) & set(out)
        assert all(data.candidates[index].group in paragraphs for index in out)
    assert sum(len(out) > 0 for out in data.echoes) > 0


@needs_data
@pytest.mark.parametrize(("task", "low", "high"), [("xquad-r", 0.06, 0.125), ("mlqa-r", 0.08, 0.15)])
def test_how_often_an_answer_stands_elsewhere(task: str, low: float, high: float) -> None:
    """Share of the questions of each language whose paragraph repeats the answer: the counts of docs/relevance.md."""
    found = repeated_answers(load_task(task))
    text = (ROOT / "docs" / "relevance.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| {task} | ") and "%" in line)
    cells = dict(zip(load_task("xquad-r").languages, (cell.strip() for cell in row.split("|")[2:-1]), strict=True))
    assert {code: f"{share:.1%}" for code, share in found.items() if code != "all"} == {
        code: cell for code, cell in cells.items() if cell
    }
    shares = [share for code, share in found.items() if code != "all"]
    assert low <= min(shares)
    assert max(shares) <= high


@needs_data
@pytest.mark.parametrize(("task", "column"), [("xquad-r", 2), ("mlqa-r", 3)])
def test_other_counts_of_the_same_thing(task: str, column: int) -> None:
    """The three ranges over languages of docs/relevance.md, from the files alone."""
    ranges: list[list[float]] = [[], [], []]
    for path in sorted((Path(os.environ["XQR_BENCH_DATA"]) / task).glob("*.json")):
        counts = np.zeros(3)
        number = 0
        for article in read_json(path)["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    number += 1
                    (answer,) = qa["answers"]
                    label = next(
                        i for i, (a, b) in enumerate(paragraph["sentence_breaks"]) if a <= answer["answer_start"] < b
                    )
                    others = [text for i, text in enumerate(paragraph["sentences"]) if i != label]
                    words = answer["text"].strip()
                    counts += (
                        any(words in other for other in others),
                        any(words.lower() in other.lower() for other in others),
                        paragraph["context"].count(answer["text"]) > 1,
                    )
        for found, count in zip(ranges, counts, strict=True):
            found.append(count / number)
    lines = (ROOT / "docs" / "relevance.md").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| the answer stands again in "))
    stated = [line.split("|")[column].strip() for line in lines[first + 2 : first + 5]]
    assert stated == [f"{min(found):.1%} to {max(found):.1%}" for found in ranges]


def test_repeated_answers_by_hand(tmp_path: Path) -> None:
    """The English question's answer stands in another English sentence; so does the German one's."""
    data = hand_made(tmp_path)
    assert repeated_answers(data) == {"de": 1.0, "en": 1.0, "all": 1.0}
    assert data.echoes is not None
    assert repeated_answers(replace(data, echoes=((0,), (0,)))) == {"de": 1.0, "en": 0.0, "all": 0.5}
    assert repeated_answers(replace(data, echoes=None)) == {}


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
def test_every_figure_has_its_intervals(record: Record, rule: str) -> None:
    """The very ones that the strict scores of the same ranks would have; a figure of a language pair is not stored."""
    ranks = record.ranks.variants[rule]
    metrics = variant_metrics(rule, record.task.metrics)
    values = all_per_query(ranks, metrics)
    expected = attach_certainty(score(values, record.task.groups)[0], values, ranks, record.task.groups)
    with_interval = 0
    for setting, scores in record.scores_under(rule).items():
        for part, key, metric, found in scores.items():
            theirs = expected[setting].macro if part == "macro" else getattr(expected[setting], part)[key]
            assert found == theirs[metric]
            if found.value is not None and found.n > 1:
                assert found.interval.low <= found.interval.high
                with_interval += 1
        assert scores.by_language_pair == {}
    assert with_interval > 100


@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_on_the_real_data_lenient_is_never_below_strict(name: str) -> None:
    record = load_record(BOARD / "sentence-transformers__all-MiniLM-L6-v2" / "919e2292ca6b" / f"{name}.json")
    for setting, scores in record.scores_under(LENIENT).items():
        for language, figures in scores.by_query_language.items():
            strict = record.scores[setting].by_query_language[language]["map"].value
            assert figures["map"].value >= strict - 1e-12


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
def test_the_oracle_is_the_ceiling_under_every_rule(rule: str) -> None:
    oracle = evaluate("oracle", "mini", languages=["de", "en", "th"])
    for setting, scores in oracle.scores_under(rule).items():
        for name in ("map", "mrr", "success@1", "ndcg@10"):
            assert scores.macro[name].value == pytest.approx(1, abs=1e-12), (setting, name)
        recall = scores.macro["recall@10"]
        assert recall.value == pytest.approx(recall.ceiling or 1, abs=1e-12)
    assert oracle.scores_under(rule)[MULTILINGUAL].macro["own_language_first"].value == pytest.approx(1 / 3)
    assert recompute(oracle)[1] == []
