"""Recipes, configurations and the errors that come before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import ROOT
from tests.train.build import parallel
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError
from xqr_bench.encode import EncoderOptions
from xqr_bench.train import train
from xqr_bench.train.config import TrainConfig, flag
from xqr_bench.train.prepare import prepare
from xqr_bench.train.recipe import RECIPES, get_recipe
from xqr_bench.train.stage import _use_device


def test_paper_recipe_is_the_published_one() -> None:
    # Elmahdy et al. 2024 (arXiv 2408.10536): AdamW, weight decay .01, learning rate 3e-5, batch 100, the prefixes
    recipe = RECIPES["paper"]
    assert (recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (100, 3e-5, 0.01)
    assert (recipe.query_prompt, recipe.passage_prompt) == ("Query: ", "Passage: ")


def test_the_documented_values_are_those_of_the_recipes() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    shown = {name: [f"`{value}`" if value is not None else "–" for value in values] for name, *values in _pairs()}
    for name, values in shown.items():
        assert f"| `{flag(name)}` | {' | '.join(values)} |" in page, name


EMPTY = ("name", "loss_args", "matryoshka", "lora", "trainer_args")
"""Not in the table: a recipe has a name, and gives none of these."""


def _pairs() -> list[tuple[str, object, object]]:
    paper, static = RECIPES["paper"].values(), RECIPES["static"].values()
    return [(name, paper[name], static[name]) for name in paper if name not in EMPTY]


def test_recipe_takes_changes_and_leaves_none_out() -> None:
    changed = get_recipe("static", updates=7, temperature=None)
    assert (changed.updates, changed.temperature) == (7, RECIPES["static"].temperature)
    assert RECIPES["static"].updates != 7


@pytest.mark.parametrize(
    "change",
    [
        {"updates": -1},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"temperature": -0.1},
        {"weight_decay": -0.1},
        {"warmup": 1.5},
        {"schedule": "steep"},
        {"precision": "fp64"},
        {"max_length": 0},
        {"vocabulary": 10},
    ],
)
def test_values_that_cannot_be_meant_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        get_recipe("static", **change)


def test_ratio_defaults_to_half_with_hybrid_only() -> None:
    assert TrainConfig(data=[parallel(10)]).plan_request().alpha == 0.5
    assert TrainConfig(data=[parallel(10)], strategy="x-y").plan_request().alpha == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": []}, "no training data"),
        ({"alpha": -0.1}, "ratio of monolingual batches"),
        ({"alpha": 1.1}, "ratio of monolingual batches"),
        ({"alpha": float("nan")}, "ratio of monolingual batches"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"save_at": [0]}, "save-at"),
        ({"save_at": [601]}, "save-at"),
        ({"align_updates": 5}, "align-updates"),
        ({"recipe": get_recipe("static", max_length=10)}, "max-length"),
        ({"recipe": get_recipe("static", mini_batch=10)}, "gradient caching"),
        ({"recipe": get_recipe("static", precision="bf16")}, "fp32"),
        ({"base": "some/model", "vocabulary_texts": ["x"]}, "vocabulary-text"),
    ],
)
def test_arguments_that_contradict_each_other(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**{"data": [parallel(10)], **arguments})


def test_a_base_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no folder"):
        TrainConfig(base=str(tmp_path / "nothing"), data=[parallel(10)])


SMALL = get_recipe("static", updates=3, batch_size=4)


def test_hard_negatives_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="has 0 hard negatives"):
        prepare(TrainConfig(data=[parallel(12)], recipe=get_recipe("static", updates=2, batch_size=4, negatives=1)))


def test_an_output_that_exists(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        prepare(TrainConfig(data=[parallel(12)], recipe=SMALL, output=tmp_path))


def test_an_unfinished_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model.unfinished").mkdir()
    with pytest.raises(UsageError, match="--resume"):
        prepare(TrainConfig(data=[parallel(12)], recipe=SMALL, output=tmp_path / "model"))


def test_the_summary_of_a_dry_run_tells_of_every_stage() -> None:
    bitext = parallel(12, ["en", "th"], kind="bitext", name="lines")
    lines = prepare(TrainConfig(data=[parallel(12)], recipe=SMALL, align=bitext, validation=parallel(6))).summary()
    assert [line for line in lines if not line.startswith(" ")] == ["alignment:", "training:", "validation:"]
    assert any("lines: 12 questions" in line for line in lines)
    none = prepare(TrainConfig(data=[parallel(12)], recipe=get_recipe("static", updates=0))).summary()
    assert none == ["training: no update"]


def test_a_device_with_a_number_is_the_one_that_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a GPU: what the library and accelerate are told, not the training itself."""
    import torch
    from transformers import TrainingArguments

    current: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none")
    _use_device(arguments, "cuda:1", 1)
    assert (str(arguments.device), current) == ("cuda:1", ["cuda:1"])
    with pytest.raises(UsageError, match=r"cuda:1 is one device, and 2 processes train together"):
        _use_device(arguments, "cuda:1", 2)


@pytest.mark.parametrize(("device", "message"), [("cuda:7", "no device 'cuda:7'"), ("cpu,cpu", "here one is used")])
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded(device: str, message: str) -> None:
    config = TrainConfig(data=[parallel(8, ["de", "en"])], options=EncoderOptions(device=device))
    with pytest.raises(XqrBenchError, match=message):
        train(config)
