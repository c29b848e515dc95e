"""What transforms buy and cost: differences and intervals, remedies and strengths, choices on another task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import BOARD, PARTIAL, ran, run, words
from xqr_bench.analysis.asked import Choice
from xqr_bench.analysis.compare import compare
from xqr_bench.analysis.remedies import Change, Curves, Dose, held_out, remedies
from xqr_bench.core.errors import UsageError
from xqr_bench.record import Record, load_record, record_path, save_record
from xqr_bench.record.provenance import TrainingRecord
from xqr_bench.report.remedies import draw_remedies, on_frontier, remedies_table

DOSES = ["remove-2", "center", "leace@0.5", "center@0.25", "remove-1"]
FEW = ("--metrics", "map,rank_distance,own_language_first", "--no-relevance", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of vectors untouched and transformed, on two tasks, beside one of no vectors."""
    place = tmp_path_factory.mktemp("remedies")
    out = ("--task", "mini", "--task", str(PARTIAL), "--output", str(place / "results"), *FEW)
    for transform in (None, *DOSES):
        ran("evaluate", "char-ngrams", *(() if transform is None else ("--transform", transform)), *out)
    ran("baseline", "bm25", *out)
    return place / "results"


def test_figures_and_their_differences(folder: Path) -> None:
    (mini, partial) = sorted(remedies([folder]), key=lambda one: one.task)
    assert (mini.task, partial.task, mini.encoder) == ("mini", "partial", "char-ngrams")
    labels = ["untouched", "center@0.25", "center", "remove-1", "remove-2", "leace@0.5"]
    assert [dose.label for dose in mini.doses] == [dose.label for dose in partial.doses] == labels
    assert mini.remedies == ["center", "remove-K", "leace"]
    untouched, *others = mini.doses
    fields = {"monolingual_map": ("monolingual", "map"), "multilingual_map": ("multilingual", "map")}
    fields |= {"own_first": ("multilingual", "own_language_first"), "rank_distance": ("multilingual", "rank_distance")}
    assert all(getattr(untouched, field).difference == 0 for field in fields)
    for dose in (mini.of("center"), mini.of("leace@0.5")):
        paths = [
            folder / name.replace("+", "_").replace("@", "_") / "mini.json" for name in ("char-ngrams", dose.record)
        ]
        choice = Choice(metrics=("own_language_first", "rank_distance"))
        (told,) = compare(paths, choice, resamples=100)
        tests = {(one.setting, one.metric): one for one in told.comparisons}
        for field, name in fields.items():
            change, test = getattr(dose, field), tests[name]
            assert change.value == test.value_b
            assert change.difference == pytest.approx(test.difference, abs=1e-12)
            assert change.article_interval == test.article_interval
            assert change.interval == test.interval
    assert len(others) == len(DOSES)
    assert remedies([folder / "char-ngrams", folder / "char-ngrams_center"], seed=1)[0].of("center") != mini.of(
        "center"
    )


def dose(label: str, multi: float, own: float, mono: float = 0.5) -> Dose:
    def change(value: float) -> Change:
        return Change(value=value, difference=0.0, interval=None, article_interval=None)

    figures = {"monolingual_map": mono, "multilingual_map": multi, "own_first": own, "rank_distance": 1_000.0}
    changes = {name: change(value) for name, value in figures.items()}
    return Dose(label=label, remedy=label.partition("@")[0], record=f"e+{label}", lost=None, **changes)


def curves(task: str, *doses: Dose, encoder: str = "e") -> Curves:
    plain = dose("untouched", 0.3, 0.9)
    facts = {"chance": 0.1, "n_questions": 9, "n_articles": 3}
    return Curves(task=task, title=task.upper(), encoder=encoder, doses=(plain, *doses), **facts)


def test_a_strength_is_chosen_on_the_other_task() -> None:
    first = curves("a", dose("center@0.5", 0.6, 0.5), dose("center", 0.5, 0.4), dose("leace", 0.4, 0.5))
    second = curves("b", dose("center@0.5", 0.45, 0.5), dose("center", 0.7, 0.4), dose("whiten", 0.4, 0.5))
    other = curves("b", dose("center", 0.9, 0.4), encoder="another")
    found = held_out([first, second, other])
    assert [(one.chosen_on, one.looked_at_on, one.dose.label, one.best.label) for one in found] == [
        ("A", "B", "center@0.5", "center"),
        ("B", "A", "center", "center@0.5"),
    ]
    assert [one.dose.multilingual_map.value for one in found] == [0.45, 0.5]


def test_the_frontier() -> None:
    some = curves("a", dose("center@0.5", 0.6, 0.5), dose("center", 0.5, 0.4), dose("leace", 0.5, 0.5))
    assert on_frontier(some) == {"center@0.5", "center"}
    rows = remedies_table(some).rows
    assert [row[0] for row in rows] == ["untouched", "center@0.5 *", "center *", "leace"]
    assert rows[1][7:] == ("1,000", "+0", "–")


def test_what_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no record is of transformed vectors"):
        remedies([folder / "char-ngrams", folder / "bm25"])
    with pytest.raises(UsageError, match="has no record of the same encoder untouched") as caught:
        remedies([folder / "char-ngrams_center", folder / "bm25"])
    assert caught.value.remedy == "name one, without --transform and not trained further, beside those of the remedies"
    more = ("--output", str(tmp_path), "--no-relevance", "--quiet", "--name")
    ran("evaluate", "char-ngrams", *more, "again", "--metrics", "map")
    paths = [folder / "char-ngrams_center" / "mini.json", tmp_path / "again" / "mini.json"]
    with pytest.raises(UsageError, match="again on mini has no multilingual own_language_first"):
        remedies(paths)
    with pytest.raises(UsageError, match="has more than one record of the same encoder untouched"):
        remedies([*paths, folder / "char-ngrams" / "mini.json"])
    ran("evaluate", "char-ngrams", *more, "twin", "--transform", "center")
    with pytest.raises(UsageError, match="char-ngrams on mini has two records of center"):
        remedies([folder, tmp_path / "twin_center" / "mini.json"])
    ran("evaluate", "char-ngrams", *more, "fewer", "--transform", "center", "--languages", "de,en")
    with pytest.raises(UsageError, match=r"char-ngrams and fewer\+center cannot be compared: they differ in languages"):
        remedies([folder / "char-ngrams" / "mini.json", tmp_path / "fewer_center" / "mini.json"])


def trainings(base: Record) -> dict[str, Any]:
    """Label -> what a training record says; a stored one, with what a test is about put into it."""
    identity = base.model.identity
    of_board = (json.loads(path.read_text(encoding="utf-8")).get("training") for path in BOARD.glob("*/*/*.json"))
    stored = next(one for one in of_board if one and "plan" in (one.get("training") or {}))

    def made(loss: str, data: str, ratio: float | None, **arguments: Any) -> dict[str, Any]:
        one = json.loads(json.dumps(stored))
        one["base"] |= {"name": identity.name, "revision": identity.revision, "digest": identity.digest}
        one["recipe"] |= {"loss": loss, "loss_args": arguments}
        one["ratio"] = ratio
        one["training"]["strategy"] = "x-y" if ratio is None else "hybrid"
        one["training"]["data"][0]["name"] = data
        one["training"]["plan"] |= {"mix": "batch", "turn": None, "shuffle_positives": False, "distinct_pairs": "all"}
        TrainingRecord.model_validate(one)
        return one

    return {
        "infonce on a, alpha 0.5": made("infonce", "a", 0.5),
        "infonce on b, x-y": made("infonce", "b", None),
        "infonce on a, alpha 0": made("infonce", "a", 0.0),
        "lakda, a 0.75": made("lakda", "a", 0.5, a=0.75),
        "lakda, a 0.25": made("lakda", "a", 0.5, a=0.25),
        "distill, pivot en, weight 0.5": made("distill", "a", 0.5, teacher="t", pivot="en", weight=0.5),
        "distill, pivot de, weight 1": made("distill", "a", 0.5, teacher="t", pivot="de", weight=1.0),
        "optical": made("optical", "b", None, weight=0.5),
    }


def test_trainings_are_remedies_too(folder: Path, tmp_path: Path) -> None:
    plain, center = (
        load_record(folder / name / "mini.json").with_ranks() for name in ("char-ngrams", "char-ngrams_center")
    )
    paths = [folder / "char-ngrams"]
    for number, (label, training) in enumerate(trainings(plain).items()):
        for record in (plain, center)[: 1 + (label == "lakda, a 0.25")]:
            model = record.model.model_copy(update={"name": f"{number}-{record.transform is None}"})
            changed = record.model_copy(update={"training": training, "model": model})
            paths.append(save_record(changed, record_path(tmp_path, model.name, "mini")))
    (found,) = remedies(paths)
    assert [(dose.label, dose.remedy, dose.start) for dose in found.doses] == [
        ("untouched", "untouched", "untouched"),
        ("infonce on a, alpha 0", "infonce on a", "untouched"),
        ("infonce on a, alpha 0.5", "infonce on a", "untouched"),
        ("infonce on b, x-y", "infonce on b, x-y", "untouched"),
        ("distill, pivot de, weight 1", "distill, pivot de", "infonce on a, alpha 0.5"),
        ("distill, pivot en, weight 0.5", "distill, pivot en", "infonce on a, alpha 0.5"),
        ("lakda, a 0.25", "lakda", "infonce on a, alpha 0.5"),
        ("lakda, a 0.25 + center", "lakda + center", "lakda, a 0.25"),
        ("lakda, a 0.75", "lakda", "infonce on a, alpha 0.5"),
        ("optical", "optical", "infonce on b, x-y"),
    ]
    assert draw_remedies([found])
    again = plain.model_copy(update={"training": trainings(plain)["lakda, a 0.25"] | {"seed": 99}})
    twice = [*paths, save_record(again, record_path(tmp_path, "again", "mini"))]
    with pytest.raises(UsageError, match=r"has two records of lakda, a 0\.25") as caught:
        remedies(twice)
    assert caught.value.found is not None
    assert caught.value.found.endswith("; they differ in seed")
    assert caught.value.remedy == (
        "name one of them, such as those of one seed; xqr-bench report ratios compares over seeds"
    )
    of_one_model = [path for path in paths if path.parent.name.startswith("4-")]
    assert [dose.label for dose in remedies(of_one_model)[0].doses] == ["untouched", "center"]


def test_transforms_and_trainings_of_one_encoder_stand_together(folder: Path, tmp_path: Path) -> None:
    """A trained model is another folder than its base; the training record says which that was."""
    plain, center = (
        load_record(folder / name / "mini.json").with_ranks() for name in ("char-ngrams", "char-ngrams_center")
    )

    def written(name: str, record: Record, digest: str | None, training: dict[str, Any] | None = None) -> Path:
        identity = record.model.identity.model_copy(update={"name": name, "digest": digest})
        model = record.model.model_copy(update={"name": name, "identity": identity})
        changed = record.model_copy(update={"model": model, "training": training})
        return save_record(changed, record_path(tmp_path, name, "mini"))

    lakda = trainings(plain)["lakda, a 0.25"]
    lakda["base"] |= {"name": "base", "revision": None, "digest": "d"}
    paths = [written("base", plain, "d"), written("centred", center, "d")]
    paths += [written("by-train", plain, "e", lakda), written("another", plain, "f")]
    (found,) = remedies(paths)
    assert [dose.label for dose in found.doses] == ["untouched", "center", "lakda"]
    lakda["base"]["digest"] = "f"
    paths[2] = written("by-train", plain, "e", lakda)
    assert [[dose.label for dose in one.doses] for one in remedies(paths)] == [
        ["untouched", "center"],
        ["untouched", "lakda"],
    ]


def test_a_training_that_other_code_recorded_has_the_name_of_its_record(folder: Path, tmp_path: Path) -> None:
    plain = load_record(folder / "char-ngrams" / "mini.json").with_ranks()
    model = plain.model.model_copy(update={"name": "theirs"})
    changed = plain.model_copy(update={"training": {"how": "long"}, "model": model})
    (found,) = remedies([folder / "char-ngrams", save_record(changed, record_path(tmp_path, "theirs", "mini"))])
    assert [dose.label for dose in found.doses] == ["untouched", "theirs"]


def test_the_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    drawn = [tmp_path / name for name in ("a.svg", "b.svg")]
    for path in drawn:
        done = ran("remedies", str(folder), "--plot", str(path))
        assert str(path) in done.err
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    assert len(drawn[0].read_bytes()) > 10_000
    assert "Strengths chosen by multilingual MAP on one task, looked at on another" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    data = json.loads(ran("remedies", str(folder), "--json").out)
    assert [one["task"] for one in data["curves"]] == ["mini", "partial"]
    assert {one["remedy"] for one in data["held_out"]} == {"center", "remove-K", "leace"}
    assert "| leace@0.5" in ran("remedies", str(folder), "--markdown").out
    assert "no record is of transformed" in words(run("remedies", str(folder / "bm25")).err)
