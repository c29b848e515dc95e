"""Comparisons: what they say follows from the records, and what cannot be compared is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.conftest import VECTORS, needs_data, needs_vectors
from tests.kit import edit
from tests.measure.nulls import BOARD, SHIPPED
from xqr_bench import evaluate
from xqr_bench.analysis.asked import Choice
from xqr_bench.analysis.compare import compare, pair_maps
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError, XqrBenchError
from xqr_bench.core.types import SETTINGS
from xqr_bench.encode import EncoderOptions
from xqr_bench.measure.panel import panel, sampling_units
from xqr_bench.measure.resampling import benjamini_hochberg, holm
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import Record, load_record, relevance_files, save_record, shortened
from xqr_bench.record.exposure import Exposure
from xqr_bench.report.comparison import comparison_markdown

Saved = Callable[..., list[Path]]
FEW = {"resamples": 1000}


def test_two_records(saved: Saved) -> None:
    paths = saved("full", "other")
    (found,) = compare(paths, **FEW)
    a, b = (load_record(path) for path in paths)
    main = found.family("confirmatory")
    assert [one.setting for one in main] == list(SETTINGS)
    for one in main:
        stored = [record.scores[one.setting].macro["map"].value for record in (a, b)]
        assert one.difference == pytest.approx(stored[1] - stored[0], abs=1e-12)
        assert (one.value_a, one.value_b) == pytest.approx(stored, abs=1e-12)
        assert (one.a, one.b) == ("full", "org/other_1")
        assert 0 < one.p <= 1
        assert one.interval.low < one.difference < one.interval.high
        assert one.adjustment == "Holm over 3 settings"
        assert (one.n_questions, one.n_articles) == (24, 6)
    assert [one.p_adjusted for one in main] == pytest.approx(holm([one.p for one in main]))


def test_records_themselves_and_folders_are_compared_too(
    saved: Saved, records: dict[str, Record], tmp_path: Path
) -> None:
    paths = saved("full", "other")
    (expected,) = compare(paths, **FEW)
    for given in (
        [records["full"], records["other"]],
        [load_record(path, ranks=True) for path in paths],
        [load_record(path) for path in paths],  # whose ranks are read beside their files
        [paths[0], records["other"]],
        [tmp_path],
    ):
        (found,) = compare(given, **FEW)
        assert found.comparisons == expected.comparisons
    with pytest.raises(RecordError, match="full on mini comes without its ranks, and from no file"):
        compare([Record.model_validate(load_record(path).model_dump()) for path in paths], **FEW)
    with pytest.raises(UsageError, match="are the same record"):
        compare([records["full"], records["full"]], **FEW)
    with pytest.raises(UsageError, match="is named twice"):
        compare([tmp_path, paths[0]], **FEW)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="there is no record in the folder"):
        compare([tmp_path / "empty"], **FEW)


def test_languages_a_record_says_were_trained_are_not_called_unseen(records: dict[str, Record]) -> None:
    """paper-unseen is el and vi; of a model trained on vi it would be half wrong."""
    groups = Choice(groups=("all",))
    (plain,) = compare([records["full"], records["other"]], groups, **FEW)
    assert any(one.key.startswith("paper-unseen") for one in plain.comparisons)
    rule = "languages that never appear in the training of Elmahdy et al. 2024, whatever others were trained on"
    assert f"paper-unseen: {rule}" in plain.notes
    of_model = {"vi": "trained", "el": "vocabulary only", "en": "trained"}
    trained = records["full"].model_copy(update={"exposure": Exposure(level="same source", languages=of_model)})
    (found,) = compare([trained, records["other"]], groups, **FEW)
    assert not any(one.key.startswith("paper-unseen") for one in found.comparisons)
    assert any(one.key.startswith("joshi-3") for one in found.comparisons)
    assert "the group paper-unseen is left out: the record of full says that it was trained on vi" in found.notes


def test_every_exploratory_figure_is_that_of_the_records(saved: Saved) -> None:
    paths = saved("full", "other")
    choice = Choice(metrics=("all",), languages=("th", "en>de"), groups=("all",))
    (found,) = compare(paths, choice, **FEW)
    a, b = (load_record(path) for path in paths)
    seen = set()
    for one in found.family("exploratory"):
        scores = [record.scores[one.setting] for record in (a, b)]
        if one.scope == "gap":
            continue
        parts = [side.macro if one.scope == "macro" else getattr(side, one.scope)[one.key] for side in scores]
        assert one.difference == pytest.approx(parts[1][one.metric].value - parts[0][one.metric].value, abs=1e-9)
        seen.add((one.scope, one.key))
    assert {("macro", ""), ("by_query_language", "th"), ("by_language_pair", "en>de")} < seen
    assert {("by_group", "joshi-3"), ("by_group", "joshi-3:into"), ("by_group", "paper-unseen:out-of")} < seen
    assert "map" not in {one.metric for one in found.family("exploratory") if one.scope == "macro"}


def test_adjustments(saved: Saved) -> None:
    paths = saved("full", "blurred-in-two")
    choice = Choice(metrics=("mrr", "recall@10"))
    (max_t,) = compare(paths, choice, **FEW)
    (bh,) = compare(paths, choice, adjust="bh", **FEW)
    raw = [one.p for one in bh.family("exploratory")]
    assert [one.p_adjusted for one in bh.family("exploratory")] == pytest.approx(benjamini_hochberg(raw))
    by_article = benjamini_hochberg([one.p_article for one in bh.family("exploratory")])
    assert [one.p_article_adjusted for one in bh.family("exploratory")] == pytest.approx(by_article)
    assert {one.adjustment for one in bh.family("exploratory")} == {"Benjamini-Hochberg over 6 cells"}
    assert {one.adjustment for one in max_t.family("exploratory")} == {"max-T over 6 cells"}
    assert all(one.p_adjusted >= one.p - 1e-12 for one in max_t.family("exploratory"))
    with pytest.raises(UnknownNameError, match="closest: max-t"):
        compare(paths, adjust="maxt")


def test_a_difference_in_two_articles_is_one_of_questions_only(saved: Saved) -> None:
    (found,) = compare(saved("full", "blurred-in-two"), **FEW)
    mono = found.family("confirmatory")[0]
    assert mono.difference < 0
    assert mono.p_adjusted <= 0.05 < mono.p_article <= mono.p_article_adjusted
    assert mono.verdict == "too few articles (6) to judge by article"
    # of three records max-T takes the place of Holm
    (three,) = compare(saved("full", "blurred-in-two", "other"), **FEW)
    assert next(one.verdict for one in three.family("confirmatory") if one.a == "full") == mono.verdict


def test_six_articles_are_too_few(saved: Saved) -> None:
    """However large a difference, p by article is at least 2^-5, and 3 x 2^-5 = .094; of its parts no more is said."""
    (found,) = compare(saved("random", "full"), Choice(metrics=("mrr",), settings=("monolingual",)), **FEW)
    mono, part = found.comparisons[0], found.comparisons[3]
    assert (mono.difference > 0.6, mono.p_article, mono.p_article_adjusted) == (True, 1 / 32, 3 / 32)
    assert (part.metric, part.p_article_adjusted) == ("mrr", 1 / 32)  # a family of one
    assert {one.verdict for one in (mono, part)} == {"too few articles (6) to judge by article"}
    (of_pairs,) = pair_maps(saved("random", "full"), "map", **FEW)
    assert "significant" not in {one.verdict for one in of_pairs.cells.values()}
    assert found.notes[0] == "mini is a small demonstration: draw conclusions from xquad-r and mlqa-r"


def test_shipped_records() -> None:
    """Real figures: what is far apart is significant, what is close is not, and a third record changes neither."""
    paths = [next((BOARD / name).glob("*/xquad-r.json")) for name in (SHIPPED["char-ngrams"], SHIPPED["MiniLM"])]
    (two,) = compare(paths, **FEW)
    verdicts = [one.verdict for one in two.family("confirmatory")]
    assert verdicts == ["significant", "not distinguishable", "significant"]
    for one in two.family("confirmatory"):
        p = [other.p_article for other in two.family("confirmatory")]
        assert one.p_article_adjusted in holm(p)
    paths.append(next((BOARD / "random").glob("*/xquad-r.json")))
    paths.append(next((BOARD / SHIPPED["bm25"]).glob("*/xquad-r.json")))
    (four,) = compare(paths, **FEW)
    by_place = {(one.a, one.b, one.setting): one for one in four.family("confirmatory")}
    assert [by_place[one.a, one.b, one.setting].verdict for one in two.family("confirmatory")] == verdicts
    close = by_place[two.records[0].label, four.records[3].label, "monolingual"]
    # .7135 and .7285 beside .0068: Tukey's test sees nothing, p by question adjusted over all 18 does
    assert close.p_tukey > 0.2
    assert close.p_adjusted < 0.01
    letters = {display.setting: dict(zip(display.records, display.letters, strict=True)) for display in four.displays}
    assert len(set(letters["multilingual"].values())) == 4


def test_an_article_that_holds_half_of_the_spread_is_named() -> None:
    """char-ngrams and bm25, multilingual: of 48 articles one; what is left without it, by other code."""
    paths = [next((BOARD / SHIPPED[name]).glob("*/xquad-r.json")) for name in ("char-ngrams", "bm25")]
    (found,) = compare(paths, Choice(metrics=("mrr",), settings=("cross-lingual",)), adjust="bh", **FEW)
    mono, cross, multi = found.family("confirmatory")
    assert mono.largest_article is None
    assert cross.largest_article is None
    assert (multi.verdict, multi.p_article_adjusted) == ("significant", pytest.approx(0.02, abs=0.01))
    ranks = [load_record(path, ranks=True).ranks for path in paths]
    values = [all_per_query(one, ["map"], ["multilingual"])["multilingual"]["map"].values for one in ranks]
    articles = np.array(ranks[0].articles)
    d = values[1] - values[0]
    sums = {name: (d[articles == name] - d.mean()).sum() for name in set(articles)}
    largest = max(sums, key=lambda name: abs(sums[name]))
    assert multi.largest_article.share == pytest.approx(sums[largest] ** 2 / sum(s**2 for s in sums.values()))
    assert 0.5 < multi.largest_article.share < 0.52
    assert multi.largest_article.difference == pytest.approx(d[articles != largest].mean(), rel=1e-9)
    assert multi.largest_article.p_article == 1 / 1001
    text = comparison_markdown([found])
    said = "one article holds 51% of the spread; without it b - a +.0108, p .0010 by article"
    assert f"multilingual map, macro average: {said}" in text
    assert "over 110 equal language pairs, it calls some different in 9 to 22 of 100 cases (max-T: in 3 to 4)" in text


def test_the_worst_language_by_article() -> None:
    """Articles resample as wholes, so the worst is less firm than over questions: Arabic of MiniLM, cross-lingual."""
    paths = [next((BOARD / SHIPPED[name]).glob("*/xquad-r.json")) for name in ("char-ngrams", "MiniLM")]
    (found,) = compare(paths, Choice(settings=("cross-lingual",)), **FEW)
    arabic = found.languages[1]
    assert arabic.worst == "ar"
    assert arabic.worst_share["ar"] == pytest.approx(0.86, abs=0.02)
    assert arabic.worst_share_article["ar"] == pytest.approx(0.77, abs=0.03)


def test_the_same_seed_gives_the_same_figures(saved: Saved) -> None:
    paths = saved("full", "other")
    first, again, other = (compare(paths, seed=seed, **FEW) for seed in (1, 1, 2))
    assert first == again
    assert first[0].comparisons[0].interval != other[0].comparisons[0].interval
    # a figure does not depend on what else is asked for
    more = compare(paths, Choice(metrics=("mrr",)), seed=1, **FEW)
    assert more[0].family("confirmatory") == first[0].family("confirmatory")


def test_more_than_two(saved: Saved) -> None:
    paths = saved("full", "blurred", "blurred-in-two")
    (found,) = compare(paths, **FEW)
    main = found.family("confirmatory")
    assert len(main) == 9
    assert {one.adjustment for one in main} == {"step-down max-T over 3 pairs in 3 settings"}
    assert all(one.p_tukey >= one.p - 0.02 for one in main)
    assert all(one.p - 1e-12 <= one.p_adjusted <= 9 * one.p + 0.01 for one in main)
    assert all(one.p_article - 1e-12 <= one.p_article_adjusted for one in main)
    # a pair's own p is that of the two alone
    alone = {(one.setting, one.p) for one in compare(paths[:2], **FEW)[0].family("confirmatory")}
    assert {(one.setting, one.p) for one in main if (one.a, one.b) == ("full", "blurred")} == alone
    for display in found.displays:
        assert list(display.values) == sorted(display.values, reverse=True)
        for one in main:
            if one.setting == display.setting:
                letters = [set(display.letters[display.records.index(label)]) for label in (one.a, one.b)]
                assert bool(letters[0] & letters[1]) == (one.verdict != "significant")
    assert not found.family("exploratory")
    assert not found.groups  # no record says in which languages its model was trained
    (chosen,) = compare(paths, Choice(groups=("joshi-3",), settings=("multilingual",)), **FEW)
    assert {one.adjustment for one in chosen.family("exploratory")} == {"Benjamini-Hochberg over 6 cells"}
    with pytest.raises(UsageError, match="max-T adjusts over the cells of two records"):
        compare(paths, adjust="max-t", **FEW)


def test_records_of_one_run_group_are_seeds_of_an_arm(saved: Saved) -> None:
    """Two arms of two seeds: means over seeds; the errors over seeds and articles, from the values themselves."""
    paths = saved("full", "other", "blurred", "blurred-in-two")
    assert compare(paths, **FEW)[0].over_seeds == ()
    for place, path in enumerate(paths):
        group = {"study": "mine", "arm": ("plain", "blurred")[place // 2], "seed": place % 2}
        edit(path, lambda data, group=group: data.update(run_group=group))
    (alone,) = compare(paths[:2], **FEW)
    assert alone.over_seeds == ()
    assert alone.notes[-1].endswith(
        "are seeds of one arm (plain, mine): what differs between them is the seed; over seeds an arm is compared with "
        "another one, of two seeds or more"
    )
    (found,) = compare(paths, **FEW)
    assert not any("seeds of one arm" in note for note in found.notes)
    assert [(one.setting, one.a, one.b) for one in found.over_seeds] == [
        (name, "plain", "blurred") for name in SETTINGS
    ]
    one = found.over_seeds[2]
    ranks = [load_record(path, ranks=True).ranks for path in paths]
    values = [all_per_query(of, ["map"], ["multilingual"])["multilingual"]["map"].values for of in ranks]
    scores = np.array([of.mean() for of in values]).reshape(2, 2)
    assert (one.value_a, one.value_b) == pytest.approx(tuple(scores.mean(axis=1)))
    assert (one.seeds_a, one.seeds_b) == (2, 2)
    d = np.mean(values[2:], axis=0) - np.mean(values[:2], axis=0)
    articles = np.array(ranks[0].articles)
    sums = np.array([(d[articles == name] - d.mean()).sum() / len(d) for name in sorted(set(articles))])
    squares = np.array([*scores.var(axis=1, ddof=1) / 2, (sums**2).sum() * 6 / 5])
    df = squares.sum() ** 2 / (squares**2 / [1, 1, 5]).sum()
    t = (scores[1].mean() - scores[0].mean()) / np.sqrt(squares.sum())
    assert one.p_article == pytest.approx(2 * stats.t.sf(abs(t), df))
    half = stats.t.ppf(0.975, df) * np.sqrt(squares.sum())
    assert one.article_interval == pytest.approx((one.difference - half, one.difference + half))
    assert [one.p_adjusted for one in found.over_seeds] == pytest.approx(holm([one.p for one in found.over_seeds]))
    assert "MAP over seeds: Holm over 3 differences of arms" in comparison_markdown([found])


@pytest.mark.parametrize("seeds", [(1, 1), (None, None), (1, None)])
def test_one_seed_twice_is_no_arm(saved: Saved, seeds: tuple[int | None, ...]) -> None:
    paths = saved("full", "other", "blurred", "blurred-in-two")
    for place, path in enumerate(paths):
        group = {"arm": ("plain", "blurred")[place // 2], "seed": seeds[place] if place < 2 else place}
        edit(path, lambda data, group=group: data.update(run_group=group))
    (found,) = compare(paths, **FEW)
    assert found.over_seeds == ()
    assert any(
        "share a run_group (plain), but not each has a seed and ranks of its own" in note for note in found.notes
    )


def test_the_same_ranks_are_no_two_seeds(saved: Saved, tmp_path: Path) -> None:
    paths = saved("full", "other", "blurred", "blurred-in-two")
    paths[1] = save_record(load_record(paths[0], ranks=True), tmp_path / "copy" / "mini.json")
    for place, path in enumerate(paths):
        group = {"arm": place // 2, "seed": place}
        edit(path, lambda data, group=group: data.update(run_group=group))
    assert compare(paths, **FEW)[0].over_seeds == ()


def test_arms_that_are_written_alike_stay_two(saved: Saved) -> None:
    paths = saved("full", "other", "blurred", "blurred-in-two")
    for place, path in enumerate(paths):
        group = {"arm": (1, "1")[place // 2], "seed": place}
        edit(path, lambda data, group=group: data.update(run_group=group))
    assert {(one.a, one.b) for one in compare(paths, **FEW)[0].over_seeds} == {('{"arm": 1}', '{"arm": "1"}')}


def test_worst_languages_and_power(saved: Saved) -> None:
    paths = saved("full", "other")
    (found,) = compare(paths, **FEW)
    record = load_record(paths[0])
    for one in found.languages:
        assert sum(one.worst_share.values()) == pytest.approx(1)
        assert sum(one.worst_share_article.values()) == pytest.approx(1)
        assert one.values[one.worst] == min(one.values.values())
        if one.record == "full":
            stored = record.scores[one.setting].by_query_language
            assert one.values == pytest.approx({name: scores["map"].value for name, scores in stored.items()})
    assert {(one.setting, one.metric) for one in found.power} >= {(name, "recall@10") for name in SETTINGS}
    ranks = load_record(paths[0], ranks=True).ranks
    (mono,) = [one for one in found.power if (one.setting, one.metric) == ("monolingual", "map")]
    units = sampling_units(ranks)
    panels = [
        panel(all_per_query(load_record(path, ranks=True).ranks, ["map"], ["monolingual"])["monolingual"]["map"], units)
        for path in paths
    ]
    d = (panels[1].sums - panels[0].sums)[..., 0].mean(axis=1)
    # about 2.8 standard errors of the mean difference of a question
    assert mono.question == pytest.approx(2.8 * d.std(ddof=1) / np.sqrt(len(d)), rel=0.06)


def test_records_of_one_name_are_told_apart(saved: Saved, tmp_path: Path, records: dict[str, Record]) -> None:
    again = edit(
        save_record(records["full"], tmp_path / "again" / "mini.json"), lambda data: data["warnings"].append("again")
    )
    (found,) = compare([*saved("full"), again], **FEW)
    assert [record.label for record in found.records] == ["full #1", "full #2"]
    assert found.comparisons[0].p == 1
    assert found.comparisons[0].verdict == "not distinguishable"
    assert any("have the same ranks" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data["task"]["files"].update({"de.json": "0" * 64}),
            r"data files: de.json .* and de.json 0000",
        ),
        (lambda data: data["task"].update(languages=["de", "en"]), "differ in languages"),
        (lambda data: data["task"]["counts"]["de"].update(candidates=7), "pool: de 24 queries, .* and .* 7 candidates"),
        (lambda data: data["task"].update(settings=["monolingual"]), "differ in settings"),
        (lambda data: data["task"].update(partial={"limit": 5}), "parts left out: nothing and limit 5"),
        (lambda data: data["task"].update(demonstration=False), "being a demonstration: yes and no"),
        (lambda data: data["ranks_file"].update(depth=1000), "depth: full and cut at 1,000"),
        (
            lambda data: data["model"]["identity"].update(candidate_context="{sentence}\n{paragraph}"),
            "candidate context: none and '{sentence}",
        ),
    ],
)
def test_unlike_records_are_refused(saved: Saved, change: Callable[[dict], None], message: str) -> None:
    first, second = saved("full", "other")
    edit(second, change)
    with pytest.raises(UsageError, match=message):
        compare([first, second])


def test_what_else_is_refused(saved: Saved, tmp_path: Path, records: dict[str, Record]) -> None:
    first, second = saved("full", "other")
    with pytest.raises(UsageError, match="is named twice"):
        compare([first, first])
    with pytest.raises(UsageError, match="are the same record"):
        compare([first, save_record(records["full"], tmp_path / "copy" / "mini.json")])
    with pytest.raises(UsageError, match="one record of mini cannot be compared"):
        compare([first])
    with pytest.raises(UsageError, match="no record is named"):
        compare([])
    other = edit(
        save_record(records["full"], tmp_path / "elsewhere" / "mini.json"),
        lambda data: data["task"].update(name="other"),
    )
    with pytest.raises(UsageError, match="of different tasks"):
        compare([first, other])
    with pytest.raises(UsageError, match="resamples are too few"):
        compare([first, second], resamples=5)
    with pytest.raises(UsageError, match="the seed is -1"):
        compare([first, second], seed=-1)
    second.with_suffix(".ranks.parquet").unlink()
    with pytest.raises(RecordError, match="there is no ranks file"):
        compare([first, second])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(metrics=("maap",)), "closest: map"),
        (Choice(metrics=("recall@7",)), "not every record holds the metric 'recall@7'"),
        (Choice(settings=("multi-lingual",)), "closest: multilingual"),
        (Choice(languages=("fr",)), "there is no language named 'fr'"),
        (Choice(languages=("en>fr",)), "there is no language pair named 'en>fr'"),
        (Choice(groups=("joshi-4",)), "closest: joshi-3"),
    ],
)
def test_wrong_names(saved: Saved, choice: Choice, message: str) -> None:
    with pytest.raises(XqrBenchError, match=message):
        compare(saved("full", "other"), choice)


def test_a_metric_that_one_record_lacks(saved: Saved, tmp_path: Path) -> None:
    few = save_record(evaluate("char-ngrams", "mini", options=EncoderOptions(name="few")), tmp_path / "few.json")

    def without(data: dict) -> None:
        data["task"]["metrics"].remove("mrr")

    edit(few, without)
    with pytest.raises(UsageError, match="not every record holds the metric 'mrr'"):
        compare([*saved("other"), few], Choice(metrics=("mrr",)))
    (found,) = compare([*saved("other"), few], Choice(metrics=("all",)), **FEW)
    assert "mrr" not in {one.metric for one in found.comparisons}


def test_a_changed_score_is_found(saved: Saved) -> None:
    first, second = saved("full", "other")
    edit(second, lambda data: data["scores"]["monolingual"]["map"].update(value=0.9))
    with pytest.raises(RecordError, match="monolingual map does not follow from its ranks"):
        compare([first, second], **FEW)


def test_a_map_holds_every_pair_once(saved: Saved) -> None:
    paths = saved("full", "other")
    (found,) = pair_maps(paths, "map", **FEW)
    assert len(found.cells) == 121
    assert found.cells["en", "en"].setting == "monolingual"
    assert {cell.adjustment for cell in found.cells.values()} == {"max-T over 121 cells"}
    scores = [load_record(path).scores["cross-lingual"].by_language_pair["en>de"]["map"].value for path in paths]
    assert found.cells["en", "de"].difference == pytest.approx(scores[1] - scores[0], abs=1e-12)
    with pytest.raises(UsageError, match="needs two records"):
        pair_maps(saved("full", "other", "blurred"), "map")
    with pytest.raises(UsageError, match="no value for a language pair"):
        pair_maps(paths, "rank_distance", **FEW)


@needs_data
@needs_vectors
def test_on_real_data(tmp_path: Path) -> None:
    task, paths = "mlqa-r", []
    for dimensions in (None, 192):
        options = EncoderOptions(name=f"minilm-{dimensions}", truncate_dim=dimensions)
        record = evaluate(f"precomputed:{VECTORS}", task, options=options)
        paths.append(save_record(record, tmp_path / f"{dimensions}.json"))
    (found,) = compare(paths, Choice(metrics=("rank_distance",)), **FEW)
    a, b = (load_record(path) for path in paths)
    for one in found.comparisons:
        values = [record.scores[one.setting].macro[one.metric].value for record in (a, b)]
        assert one.difference == pytest.approx(values[1] - values[0], rel=1e-9, abs=1e-12)
    assert found.n_articles == 520
    assert found.family("confirmatory")[0].verdict == "significant"


def test_a_submission_is_compared_on_the_questions_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relevance_files, "SAMPLE_ROWS", 500)
    whole, other = evaluate("char-ngrams", "mini"), shortened(evaluate("random", "mini"))
    n = other.relevance["paragraph"].questions
    assert n < whole.task.n_questions
    (found,) = compare([whole, other], Choice(relevance="paragraph"), resamples=100)
    assert f"on the {n} questions that a submission has paragraph ranks of" in found.notes
    one = next(
        one for one in found.comparisons if (one.setting, one.metric, one.scope) == ("multilingual", "map", "macro")
    )
    questions = set(other.ranks_under("paragraph").question_ids)
    sampled = all_per_query(whole.ranks_under("paragraph").of_questions(questions), ["map"], ["multilingual"])
    assert one.value_a == pytest.approx(sampled["multilingual"]["map"].values.mean(), rel=1e-12)
    assert one.value_b == pytest.approx(other.scores_under("paragraph")["multilingual"].macro["map"].value, rel=1e-12)
    (found,) = compare([whole, other], resamples=100)
    assert not any("questions that a submission has" in note for note in found.notes)
