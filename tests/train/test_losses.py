"""Losses as plug-ins: how one is found and checked, what it is told of its batch, what the record says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from tests.kit import ROOT, page_text, ran, read_json, run
from tests.kit import words as flat
from tests.train.build import parallel, tiny_xlm_r, write_pairs
from xqr_bench.core.errors import EncoderError, UnknownNameError, UsageError
from xqr_bench.train import LossContext, Recipe, TrainConfig, get_recipe, train
from xqr_bench.train.losses import LOSSES, choose_loss
from xqr_bench.train.run import card

DATA = parallel(24)


def recipe(**changes: Any) -> Recipe:
    return get_recipe("static", **{"updates": 4, "batch_size": 6, "vocabulary": 320, "dimensions": 8, **changes})


class Weighted(torch.nn.Module):
    """InfoNCE times a weight; remembers what it was told."""

    seen: list[Any] = []  # noqa: RUF012

    def __init__(
        self, model: Any, recipe: Recipe, context: LossContext, *, weight: Annotated[float, Field(gt=0)] = 2.0
    ) -> None:
        super().__init__()
        self.loss = MultipleNegativesRankingLoss(model, scale=1 / recipe.temperature)
        self.context, self.weight = context, weight

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        rows = self.context.rows
        assert len(rows) == len(sentence_features[0].get("offsets", sentence_features[0]["input_ids"]))
        self.seen.append(rows)
        return self.loss(sentence_features, labels) * self.weight


@pytest.fixture(autouse=True)
def forget() -> None:
    Weighted.seen.clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss above, as if a package brought it."""
    points = [metadata.EntryPoint("weighted", f"{__name__}:Weighted", "xqr_bench.losses")]
    others = metadata.entry_points
    monkeypatch.setattr(
        metadata, "entry_points", lambda **asked: points if asked == {"group": "xqr_bench.losses"} else others(**asked)
    )


def digest(**arguments: Any) -> str:
    return train(TrainConfig(**{"data": [DATA], "recipe": recipe(), **arguments})).record.weights_digest


def test_a_loss_by_its_name_and_as_an_object_train_the_same(installed: None) -> None:
    named = train(TrainConfig(data=[DATA], recipe=recipe(loss="weighted", loss_args={"weight": 3})))
    given = train(TrainConfig(data=[DATA], recipe=recipe(loss_args={"weight": 3}), loss=Weighted))
    assert named.record.weights_digest == given.record.weights_digest != digest()
    assert named.record.recipe["loss"] == "weighted"
    assert given.record.recipe["loss"] == f"{__name__}:Weighted"
    assert named.record.recipe["loss_args"] == given.record.recipe["loss_args"] == {"weight": 3.0}
    assert (named.record.loss, given.record.loss) == ({"origin": "unknown"}, {"origin": "object"})
    assert "- Loss: `weighted`, weight 3.0 (unknown)." in card(named.record)
    first, last = (one.record.training.loss[0][1] for one in (named, train(TrainConfig(data=[DATA], recipe=recipe()))))
    assert first == pytest.approx(3 * last, rel=1e-4)  # of one batch, before any update


def test_arguments_that_are_not_given_stand_in_the_record() -> None:
    config = TrainConfig(data=[DATA], recipe=recipe(updates=1), loss=Weighted)
    assert train(config).record.recipe["loss_args"] == {"weight": 2.0}


def check_rows(config: TrainConfig) -> None:
    """The rows a loss was told are those of the plan, in order."""
    from xqr_bench.train.prepare import prepare

    planned = prepare(config).training
    assert planned is not None
    assert [rows.step for rows in Weighted.seen] == list(range(planned.plan.steps))
    for rows in Weighted.seen:
        pairs = planned.plan.pairs(rows.step, planned.data)
        assert rows.queries == [pair.query for pair in pairs]
        assert rows.passages == [pair.passage for pair in pairs]
        assert rows.question_ids == [pair.question_id for pair in pairs]
        assert [rows.languages[code] for code in rows.query_language] == [pair.query_language for pair in pairs]
        assert [rows.languages[code] for code in rows.passage_language] == [pair.passage_language for pair in pairs]
        one = all(pair.query_language == pair.passage_language for pair in pairs)
        assert rows.batch_type == ("monolingual" if one else "cross-lingual")
        others = rows.queries_in((rows.query_language + 1) % len(rows.languages))
        assert all(text is not None and text != own for text, own in zip(others, rows.queries, strict=True))
    assert {rows.batch_type for rows in Weighted.seen} == {"monolingual", "cross-lingual"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loss_is_told_the_rows_of_its_batch(workers: int) -> None:
    config = TrainConfig(data=[DATA], recipe=recipe(updates=8), loss=Weighted, workers=workers)
    train(config)
    check_rows(config)


def test_rows_with_a_transformer(tmp_path: Path) -> None:
    base = tiny_xlm_r(tmp_path / "base", [text for text, _ in DATA.texts()])
    values = get_recipe("paper", updates=6, batch_size=6)
    config = TrainConfig(base=str(base), data=[DATA], recipe=values, loss=Weighted)
    train(config)
    check_rows(config)


def test_rows_of_a_validation_are_its_own() -> None:
    other = parallel(12, name="other")
    train(TrainConfig(data=[DATA], validation=other, recipe=recipe(updates=2, validate_every=1), loss=Weighted))
    of = [rows.planned.data[0].name for rows in Weighted.seen]
    assert of.index("other") == 1
    assert of.count("made-up") == 2


class Further(Weighted):
    """Encodes the queries a second time, from their texts."""

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        again = self.context.features(self.context.rows.queries, "query")
        assert again.keys() == sentence_features[0].keys()
        assert torch.equal(again["input_ids"], sentence_features[0]["input_ids"])
        return super().forward(sentence_features, labels)


@pytest.mark.parametrize("transformer", [False, True])
def test_further_texts_are_inputs_like_the_rows_and_their_tokens_count(transformer: bool, tmp_path: Path) -> None:
    if transformer:
        base: dict[str, Any] = {"base": str(tiny_xlm_r(tmp_path / "base", [text for text, _ in DATA.texts()]))}
        base["recipe"] = get_recipe("paper", updates=2, batch_size=6)
    else:
        base = {"recipe": recipe(updates=2)}
    tokens = []
    for loss in (Weighted, Further):
        stage = train(TrainConfig(data=[DATA], loss=loss, **base)).record.training
        assert stage is not None
        tokens.append(stage.tokens)
    assert tokens[0] < tokens[1] < 2 * tokens[0]


def test_with_matryoshka_further_texts_are_counted_as_often_as_they_are_encoded() -> None:
    tokens = []
    for sizes in ((), (4, 2)):
        stage = train(TrainConfig(data=[DATA], recipe=recipe(loss="jsd", updates=2, matryoshka=sizes))).record.training
        assert stage is not None
        tokens.append((stage.tokens, stage.padded_tokens))
    assert tokens[0] == tokens[1]


def test_alignment_is_trained_with_infonce_whatever_the_loss() -> None:
    bitext = parallel(24, ["de", "en"], kind="bitext", name="lines")
    train(TrainConfig(data=[DATA], align=bitext, align_updates=3, recipe=recipe(updates=2), loss=Weighted))
    assert [rows.planned.data[0].name for rows in Weighted.seen] == ["made-up"] * 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"loss": "infonse"}, UnknownNameError, "no loss named 'infonse'.*closest: infonce"),
        ({"loss_args": {"weight": 1}}, UnknownNameError, "no argument of the loss infonce named 'weight'"),
    ],
)
def test_losses_and_arguments_there_are_not(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        TrainConfig(data=[DATA], recipe=recipe(**change))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weight": 0}, "weight.*greater than 0.*it takes: weight"),
        ({"weight": "much"}, "weight.*valid number"),
        ({"weight": float("nan")}, "weight|NaN"),
        ({"wait": 1}, "no argument .* named 'wait'.*closest: weight"),
    ],
)
def test_values_a_loss_does_not_take(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        TrainConfig(data=[DATA], recipe=recipe(loss_args=given), loss=Weighted)


def no_module(model: Any, recipe: Any, context: Any) -> int:
    return 1


def breaks(model: Any, recipe: Any, context: Any) -> Any:
    raise ValueError("broken on purpose")


class BreaksLater(Weighted):
    def forward(self, sentence_features: Any, labels: Any) -> Any:
        raise ValueError("broken on purpose")


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (no_module, UsageError, "made a int, which is no torch.nn.Module"),
        (breaks, EncoderError, "broken on purpose"),
        (BreaksLater, EncoderError, "failed at update 1.*broken on purpose"),
        (lambda model: None, UsageError, "is no loss"),
        (7, UsageError, "loss"),
    ],
)
def test_code_that_is_no_loss(loss: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        train(TrainConfig(data=[DATA], recipe=recipe(), loss=loss))


def test_rows_outside_a_batch_are_refused() -> None:
    context = LossContext((DATA,), DATA.languages)
    with pytest.raises(UsageError, match="none was computed"):
        _ = context.rows
    with pytest.raises(UsageError, match="no batch"):
        context.features(["text"], "query")


def test_gradient_caching_is_refused_where_a_loss_does_not_do_it() -> None:
    with pytest.raises(UsageError, match="gradient caching"):
        choose_loss(Weighted, {}, mini_batch=8)
    assert choose_loss("infonce", {}, mini_batch=8).arguments == {}


def identified(model: Any, recipe: Any, context: Any, *, file: str) -> Any:
    return Weighted(model, recipe, context)


def test_a_resumed_run_has_the_same_loss_arguments_and_what_they_name(tmp_path: Path) -> None:
    def stop(step: int, *_: Any) -> None:
        raise KeyboardInterrupt

    told = ["first"]
    identified.identity = lambda file: {"digest": told[0]}  # type: ignore[attr-defined]
    asked: dict[str, Any] = {"data": [DATA], "output": tmp_path / "model", "save_at": [2], "loss": identified}
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(recipe=recipe(loss_args={"file": "a"}), **asked), on_kept=stop)
    for change, words in (({"file": "b"}, "recipe"), ({"file": "a"}, "digest.*second")):
        told[0] = "second"
        with pytest.raises(UsageError, match=f"(?s)asked for something else.*{words}"):
            train(TrainConfig(recipe=recipe(loss_args=change), resume=True, **asked))
    told[0] = "first"
    record = train(TrainConfig(recipe=recipe(loss_args={"file": "a"}), resume=True, **asked)).record
    assert record.loss == {"origin": "object", "digest": "first"}


def test_a_resumed_run_gathers_negatives_as_before(tmp_path: Path) -> None:
    def stop(step: int, *_: Any) -> None:
        raise KeyboardInterrupt

    asked: dict[str, Any] = {"data": [DATA], "output": tmp_path / "model", "save_at": [2], "recipe": recipe()}
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(**asked), on_kept=stop)
    with pytest.raises(UsageError, match=r"(?s)asked for something else.*gather"):
        train(TrainConfig(resume=True, gather=False, **asked))


def test_the_command(tmp_path: Path, installed: None) -> None:
    data = write_pairs(tmp_path)
    asked = ["train", "--data", str(data), "--updates", "2", "--batch-size", "4", "--vocabulary", "300"]
    asked += ["--dimensions", "8", "--loss", "weighted"]
    assert "\nloss: weighted, weight 2.0\n" in ran(*asked, "--dry-run").out
    ran(*asked, "--loss-arg", "weight=0.5", "--output", str(tmp_path / "model"))
    text = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "- Loss: `weighted`, weight 0.5 (unknown)." in text
    for wrong, told in (
        (["weighted", "--loss-arg", "weight=no"], "it takes: weight (2.0 unless given)"),
        (["weighted", "--loss-arg", "height=1"], "use one of: weight"),
        (["heavy"], "use one of: distill, infonce"),
    ):
        done = run(*asked[:-1], *wrong, "--output", str(tmp_path / "x"))
        assert done.code == 1
        assert told in flat(done.err)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--loss lancer --ratio 1", "each batch of this plan has one"),
        ("--loss lakda --languages en --ratio 1", "no question is in two languages"),
        ("--loss optical", "data that is no bitext: mini"),
        ("--loss distill --loss-arg teacher=/nowhere/x", "there is no folder /nowhere/x"),
        ("--loss distill --loss-arg teacher=any --loss-arg pivot=xx", "no data in the pivot 'xx'"),
        ("--matryoshka 64,999", "999 is more than the 256 columns"),
    ],
)
def test_what_a_loss_cannot_be_trained_on_is_told_by_a_dry_run(options: str, told: str) -> None:
    """Nothing else would: no model is loaded."""
    done = run("train", "--data", "mini", "--batch-size", "6", "--updates", "4", *options.split(), "--dry-run")
    assert done.code == 1
    assert told in flat(done.err)


def test_every_built_in_loss_takes_what_its_page_says() -> None:
    for name in LOSSES:
        if LOSSES.origins()[name] == "built in":
            make: Callable[..., Any] = LOSSES.get(name)
            assert make.__doc__, name


def test_what_a_new_loss_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own class, entry point, program and command."""
    page = page_text("losses.md")
    (source,) = re.findall(r"^```python\n(# own_language\.py\n.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (program,) = re.findall(r"^```python\n(from own_language.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^```sh\nxqr-bench (.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "own_language.py").write_text(source, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {"print": lambda *values: None}
    exec(compile(program, "docs/losses.md", "exec"), names)
    assert names["result"].record.recipe["loss_args"] == {"monolingual": 0.5}
    ((group, named),) = tomllib.loads(shown)["project"]["entry-points"].items()
    points = [metadata.EntryPoint(name, value, group) for name, value in named.items()]
    others = metadata.entry_points
    monkeypatch.setattr(
        metadata, "entry_points", lambda **asked: points if asked == {"group": group} else others(**asked)
    )
    ran(*command.split())
    assert read_json(tmp_path / "own" / "xqr_bench_training.json")["recipe"]["loss"] == "own-language"


def test_the_page_names_every_loss() -> None:
    names = re.findall(r"^\| `([a-z0-9-]+)`", page_text("losses.md"), re.MULTILINE)
    assert sorted(names) == sorted(name for name, origin in LOSSES.origins().items() if origin == "built in")


OF_TWO = """
import sys
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from tests.train.build import parallel
from xqr_bench.train import TrainConfig, get_recipe, train


class Checks(torch.nn.Module):
    def __init__(self, model, recipe, context):
        super().__init__()
        self.loss = MultipleNegativesRankingLoss(model, scale=20.0, gather_across_devices=context.gather)
        self.context = context

    def forward(self, sentence_features, labels):
        rows, whole = self.context.rows, self.context.whole_batch
        assert (len(rows), len(whole)) == (3, 6), (len(rows), len(whole))
        mine = torch.from_numpy(rows.question.astype("float32"))
        stacked = self.context.gathered(mine.requires_grad_())
        assert stacked.tolist() == whole.question.tolist(), (stacked, whole.question)
        assert rows.queries == whole.queries[rows.rows]
        return self.loss(sentence_features, labels)


recipe = get_recipe("static", updates=4, batch_size=6, vocabulary=320, dimensions=8)
result = train(TrainConfig(data=[parallel(24)], recipe=recipe, loss=Checks))
said = f"processes {result.record.processes} {result.record.gathered}"
sys.stdout.write(said + "\\n")  # one write: two processes share it
"""


def test_rows_on_two_devices(tmp_path: Path) -> None:
    (tmp_path / "of_two.py").write_text(OF_TWO, encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "of_two.py")]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, *launch], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("processes 2 True") == 2
