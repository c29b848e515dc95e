"""Distributions over the passages of a batch and their divergences: literal sums, scipy, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from xqr_bench.train.losses._consistency import jensen_shannon, kullback_leibler, log_probabilities


def vectors(rows: int, seed: int, dimensions: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dimensions)))


def literal_probabilities(queries: np.ndarray, passages: np.ndarray, temperature: float) -> np.ndarray:
    found = np.zeros((len(queries), len(passages)))
    for i, query in enumerate(queries):
        for j, passage in enumerate(passages):
            cosine = sum(query * passage) / math.sqrt(sum(query**2)) / math.sqrt(sum(passage**2))
            found[i, j] = math.exp(cosine / temperature)
        found[i] /= sum(found[i])
    return found


def literal_divergence(p: np.ndarray, q: np.ndarray) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


PAIRS = [(1, 1, 1.0), (1, 4, 0.1), (6, 6, 0.05), (7, 3, 0.5)]


@pytest.mark.parametrize(("rows", "places", "temperature"), PAIRS)
def test_distributions_are_the_softmax_written_out(rows: int, places: int, temperature: float) -> None:
    queries, passages = 7 * vectors(rows, 1), vectors(places, 2)
    found = log_probabilities(queries, passages, temperature).exp().numpy()
    np.testing.assert_allclose(found, literal_probabilities(queries.numpy(), passages.numpy(), temperature), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(("rows", "places", "temperature"), PAIRS)
def test_divergences_are_those_of_scipy_and_of_the_sums_written_out(rows: int, places: int, temperature: float) -> None:
    passages = vectors(places, 2)
    p, q = (log_probabilities(vectors(rows, seed), passages, temperature) for seed in (1, 3))
    p_plain, q_plain = p.exp().numpy(), q.exp().numpy()
    divergence = kullback_leibler(p, q).numpy()
    np.testing.assert_allclose(divergence, rel_entr(p_plain, q_plain).sum(axis=1), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(
        divergence, [literal_divergence(a, b) for a, b in zip(p_plain, q_plain, strict=True)], rtol=1e-9, atol=1e-15
    )
    both = jensen_shannon(p, q).numpy()
    np.testing.assert_allclose(both, jensenshannon(p_plain, q_plain, axis=1) ** 2, rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(
        both,
        [
            (literal_divergence(a, (a + b) / 2) + literal_divergence(b, (a + b) / 2)) / 2
            for a, b in zip(p_plain, q_plain, strict=True)
        ],
        rtol=1e-9,
        atol=1e-15,
    )


def test_equal_distributions_are_at_zero_and_disjoint_ones_at_ln_2() -> None:
    passages = torch.eye(3, dtype=torch.float64)
    p = log_probabilities(passages[:1], passages, 0.02)
    q = log_probabilities(passages[1:2], passages, 0.02)
    assert jensen_shannon(p, p).item() == pytest.approx(0, abs=1e-15)
    assert kullback_leibler(p, p).item() == 0
    assert jensen_shannon(p, q).item() == pytest.approx(math.log(2), rel=1e-12)
    assert jensen_shannon(p, q).item() == jensen_shannon(q, p).item()
    assert kullback_leibler(p, q).item() == pytest.approx(50, rel=1e-9)  # a cosine of 1 against one of 0, over .02


def test_small_divergences_keep_their_digits_in_half_precision() -> None:
    passages = vectors(8, 2)
    first, second = vectors(8, 1), vectors(8, 1) + 0.01 * vectors(8, 3)
    exact = jensen_shannon(*(log_probabilities(one, passages, 0.05) for one in (first, second)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = [log_probabilities(one.float(), passages.float(), 0.05) for one in (first, second)]
        assert {one.dtype for one in halved} == {torch.float32}
        torch.testing.assert_close(jensen_shannon(*halved).double(), exact, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("divergence", [kullback_leibler, jensen_shannon])
def test_gradients_are_those_of_differences(divergence: object) -> None:
    def loss(first: torch.Tensor, second: torch.Tensor, passages: torch.Tensor) -> torch.Tensor:
        return divergence(*(log_probabilities(one, passages, 0.3) for one in (first, second))).mean()  # type: ignore[operator]

    inputs = tuple(vectors(4, seed).requires_grad_() for seed in (1, 2, 3))
    assert torch.autograd.gradcheck(loss, inputs)
