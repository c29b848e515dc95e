"""The losses distill and optical: their definitions written out, the libraries they come from, and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.build import parallel, tiny_xlm_r
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.encode.weights import loaded_from
from xqr_bench.train import LossContext, TrainConfig, TrainResult, get_recipe, train
from xqr_bench.train.losses import BatchRows, choose_loss
from xqr_bench.train.prepare import prepare

DATA = parallel(24)
BITEXT = parallel(24, ["de", "en"], kind="bitext", name="lines")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    texts = [text for data in (DATA, BITEXT) for text, _ in data.texts()]
    return str(tiny_xlm_r(tmp_path_factory.mktemp("base") / "base", texts))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model of 12 dimensions, and prompts of its own."""
    folder = tmp_path_factory.mktemp("teacher") / "teacher"
    values = {"updates": 3, "batch_size": 6, "vocabulary": 320, "dimensions": 12, "query_prompt": "ask: "}
    train(TrainConfig(data=[DATA], recipe=get_recipe("static", **values), output=folder))
    return folder


def student(dimensions: int = 12, **changes: Any) -> Any:
    values = {"updates": 2, "batch_size": 6, "vocabulary": 320, "dimensions": dimensions, **changes}
    return get_recipe("static", **values)


def first_loss(result: TrainResult) -> float:
    assert result.record.training is not None
    return result.record.training.loss[0][1]


def first_batch(config: TrainConfig) -> tuple[Any, list[Any]]:
    planned = prepare(config).training
    assert planned is not None
    return planned, planned.plan.pairs(0, planned.data)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[x @ y / np.sqrt((x @ x) * (y @ y)) for y in b] for x in a])


def info_nce(queries: np.ndarray, passages: np.ndarray, temperature: float = 0.05) -> float:
    scores = cosines(queries, passages) / temperature
    return float(np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores)]))


@pytest.mark.parametrize("pivot", [None, "en"])
@pytest.mark.parametrize("distance", ["cosine", "l2", "mse"])
def test_distillation_is_its_definition(teacher: Path, distance: str, pivot: str | None) -> None:
    from sentence_transformers import SentenceTransformer

    arguments = {"teacher": str(teacher), "distance": distance, "weight": 0.25} | ({"pivot": pivot} if pivot else {})
    config = TrainConfig(data=[DATA], recipe=student(loss="distill", loss_args=arguments, updates=1))
    result = train(config)
    start = train(TrainConfig(data=[DATA], recipe=student(updates=0))).model
    read = SentenceTransformer(str(teacher), device="cpu")
    planned, pairs = first_batch(config)
    own, targets = [], []
    for role, prompt in (("query", "ask: "), ("passage", "Passage: ")):
        own.append(start.encode([f"{role.title()}: {getattr(pair, role)}" for pair in pairs]).astype(float))
        read_texts = []
        for pair, row in zip(pairs, planned.plan.take(0), strict=True):
            data = planned.data[row.data_set]
            read_texts.append(getattr(data, role)(row.question, pivot) if pivot else getattr(pair, role))
        targets.append(read.encode([prompt + text for text in read_texts]).astype(float))
    distances = []
    for ours, theirs in zip(own, targets, strict=True):
        each = {
            "cosine": [1 - cosines(x[None], y[None])[0, 0] for x, y in zip(ours, theirs, strict=True)],
            "l2": [np.sqrt(((x - y) ** 2).sum()) for x, y in zip(ours, theirs, strict=True)],
            "mse": [((x - y) ** 2).mean() for x, y in zip(ours, theirs, strict=True)],
        }
        distances.append(np.mean(each[distance]))
    assert first_loss(result) == pytest.approx(0.75 * info_nce(*own) + 0.25 * np.mean(distances), rel=1e-4)
    if pivot is None:  # what sentence-transformers computes of labels
        from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss

        labels = torch.tensor(np.stack(targets, axis=1), dtype=torch.float32)
        theirs = EmbedDistillLoss(start, distance)
        features = [
            start.preprocess([getattr(pair, role) for pair in pairs], prompt=f"{role.title()}: ")
            for role in ("query", "passage")
        ]
        assert float(theirs(features, labels)) == pytest.approx(float(np.mean(distances)), rel=1e-4)


def test_a_teacher_of_other_dimensions_by_a_map_that_is_trained(teacher: Path, tmp_path: Path) -> None:
    arguments = {"teacher": str(teacher), "weight": 1.0}
    asked: dict[str, Any] = {"data": [DATA], "recipe": student(8, loss="distill", loss_args=arguments, updates=6)}
    first, again = train(TrainConfig(**asked)), train(TrainConfig(**asked))
    assert first.record.weights_digest == again.record.weights_digest
    assert list(first.model.state_dict()) == ["0.embedding.weight"]  # no part of the map, or of the teacher

    def stop(step: int, *_: Any) -> None:
        raise KeyboardInterrupt

    more = {"output": tmp_path / "model", "checkpoint_every": 2, "save_at": [5]}
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(**asked, **more), on_kept=stop)
    assert train(TrainConfig(**asked, **more, resume=True)).record.weights_digest == first.record.weights_digest


def test_the_teacher_stands_in_the_record(teacher: Path) -> None:
    record = train(TrainConfig(data=[DATA], recipe=student(loss="distill", loss_args={"teacher": str(teacher)}))).record
    digest = loaded_from(teacher)[0]
    assert record.loss == {"origin": "built in", "teacher": "teacher", "digest": digest}
    assert record.recipe["loss_args"] == {"teacher": str(teacher), "distance": "cosine", "weight": 0.5, "pivot": None}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "teacher"),
        ({"weight": 2}, "weight"),
        ({"distance": "far"}, "distance"),
        ({"pivot": "zh"}, "pivot 'zh'.*use one of: de, en, es"),
        ({"teacher": "/no/such/folder"}, "no/such/folder"),
    ],
)
def test_teachers_that_cannot_be_meant(teacher: Path, arguments: dict[str, Any], told: str) -> None:
    given = {**({} if arguments == {} else {"teacher": str(teacher)}), **arguments}
    with pytest.raises(XqrBenchError, match=f"(?s){told}"):
        train(TrainConfig(data=[DATA], recipe=student(loss="distill", loss_args=given)))


# Optimal transport of tokens.


def literal_plan(costs: np.ndarray, regularisation: float) -> np.ndarray:
    """Sinkhorn's algorithm as Cuturi 2013 writes it, on a text's own tokens."""
    n, m = costs.shape
    kernel, u, v = np.exp(-costs / regularisation), np.ones(n), np.ones(m)
    for _ in range(5000):
        u = (1 / n) / (kernel @ v)
        v = (1 / m) / (kernel.T @ u)
    return np.asarray(u[:, None] * kernel * v[None, :])


@pytest.mark.parametrize("regularisation", [0.05, 0.1, 1.0])
def test_costs_are_those_of_sinkhorns_algorithm_and_of_pot_text_by_text(regularisation: float) -> None:
    ot = pytest.importorskip("ot")
    from xqr_bench.train.losses.optical import transport_costs

    rng = np.random.default_rng(3)
    lengths = [(4, 7), (9, 2), (1, 1), (6, 6)]
    first, second = (torch.from_numpy(rng.standard_normal((4, 9, 5)).astype(np.float32)) for _ in range(2))
    masks = [torch.tensor([[int(j < pair[side]) for j in range(9)] for pair in lengths]) for side in (0, 1)]
    first.requires_grad_()
    found = transport_costs(first, masks[0], second, masks[1], regularisation, 5000)
    for i, (n, m) in enumerate(lengths):
        costs = 1 - cosines(first[i, :n].detach().double().numpy(), second[i, :m].double().numpy())
        plan = literal_plan(costs, regularisation)
        assert found[i].item() == pytest.approx((plan * costs).sum(), abs=1e-4)
        uniform = [np.full(size, 1 / size) for size in (n, m)]
        theirs = ot.sinkhorn(*uniform, costs, regularisation, method="sinkhorn_log", numItermax=5000)
        np.testing.assert_allclose(theirs, plan, atol=1e-5)
    found.sum().backward()
    assert first.grad is not None
    assert all((first.grad[i, n:] == 0).all() for i, (n, _) in enumerate(lengths))  # padding moves nothing


def test_token_transport_is_its_definition_and_falls(base: str) -> None:
    pytest.importorskip("ot")
    arguments = {"weight": 0.3, "regularisation": 0.2, "iterations": 2000}
    values = {"updates": 1, "batch_size": 6, "loss": "optical", "loss_args": arguments}
    config = TrainConfig(base=base, data=[BITEXT], strategy="x-y", recipe=get_recipe("paper", dropout=0.0, **values))
    result = train(config)
    start = train(TrainConfig(base=base, data=[BITEXT], recipe=get_recipe("paper", updates=0), strategy="x-y")).model
    _, pairs = first_batch(config)
    columns = [
        start.encode([f"{role.title()}: {getattr(pair, role)}" for pair in pairs], output_value=None)
        for role in ("query", "passage")
    ]
    sentences = [np.stack([one["sentence_embedding"].numpy() for one in column]).astype(float) for column in columns]
    costs = []
    for query, passage in zip(*columns, strict=True):
        tokens = [one["token_embeddings"][one["attention_mask"].bool()].double().numpy() for one in (query, passage)]
        each = 1 - cosines(*tokens)
        costs.append((literal_plan(each, 0.2) * each).sum())
    assert first_loss(result) == pytest.approx(0.7 * info_nce(*sentences) + 0.3 * np.mean(costs), abs=2e-3)
    longer = {**values, "updates": 30, "learning_rate": 1e-3, "loss_args": {"weight": 1.0}}
    stage = train(TrainConfig(base=base, data=[BITEXT], strategy="x-y", recipe=get_recipe("paper", **longer))).record
    assert stage.training is not None
    losses = [loss for _, loss in stage.training.loss]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_transport_needs_translations_tokens_and_pot(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = get_recipe("paper", updates=2, batch_size=6, loss="optical")
    with pytest.raises(UsageError, match=r"data that is no bitext: made-up"):
        train(TrainConfig(base=base, data=[DATA], recipe=recipe))
    with pytest.raises(UsageError, match="vectors of tokens"):
        train(TrainConfig(data=[BITEXT], strategy="x-y", recipe=student(loss="optical")))
    with pytest.raises(UsageError, match="regularisation"):
        choose_loss("optical", {"regularisation": 0})
    monkeypatch.setattr("xqr_bench.train.losses.optical.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'xqr-bench\[transport\]'"):
        train(TrainConfig(base=base, data=[BITEXT], strategy="x-y", recipe=recipe))


def test_texts_in_a_language_that_a_question_is_not_in() -> None:
    data = parallel(12, ["de", "en", "es"], has={0: ["de", "en"]})
    planned = prepare(TrainConfig(data=[data], recipe=student())).training
    assert planned is not None
    rows = BatchRows(planned, 0, slice(None))
    for code in range(3):
        told = rows.queries_in(np.full(len(rows), code, dtype=np.int32))
        said = rows.passages_in(np.full(len(rows), code, dtype=np.int32))
        for i, question in enumerate(rows.question):
            assert told[i] == (data.queries[code][question] or None)
            assert said[i] == (data.passages[code][question] or None)
    assert isinstance(LossContext((data,), data.languages).gathered(torch.ones(2)), torch.Tensor)


def test_a_validation_without_the_pivot_is_read_as_it_is(teacher: Path) -> None:
    losses = []
    for pivot in ({}, {"pivot": "en"}):
        given = {"teacher": str(teacher), "weight": 1.0, **pivot}
        values = student(loss="distill", loss_args=given, updates=1, validate_every=1, learning_rate=1e-12)
        held_out = parallel(12, ["de", "th"], name="held out")  # their second language is not that of the training
        stage = train(TrainConfig(data=[DATA], validation=held_out, recipe=values)).record.training
        assert stage is not None
        losses.append(stage.validation[0][1])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
