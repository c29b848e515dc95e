"""The correlation penalty of `lancer`: literal sums, numpy.corrcoef, gradients, what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from xqr_bench.train.losses.lancer import correlation_penalty


def vectors(rows: int, dimensions: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dimensions)))


def literal_penalty(raw: np.ndarray, languages: list[str]) -> float:
    rows = [row / math.sqrt(sum(row**2)) for row in raw]
    found = []
    for f in range(len(rows[0])):
        feature = [row[f] for row in rows]
        for language in sorted(set(languages)):
            label = [1.0 if one == language else 0.0 for one in languages]
            mean_f, mean_l = sum(feature) / len(feature), sum(label) / len(label)
            top = sum((a - mean_f) * (b - mean_l) for a, b in zip(feature, label, strict=True))
            below = math.sqrt(sum((a - mean_f) ** 2 for a in feature) * sum((b - mean_l) ** 2 for b in label))
            found.append(abs(top / below))
    return sum(found) / len(found)


LOPSIDED = [["de", "en"], ["en", "de", "de", "en", "zh"], ["th"] * 9 + ["en"], list("abcdefgh")]


@pytest.mark.parametrize("languages", LOPSIDED)
def test_it_is_the_sum_written_out_and_numpys(languages: list[str]) -> None:
    raw = 3 * vectors(len(languages))
    found = correlation_penalty(raw, languages).item()
    assert found == pytest.approx(literal_penalty(raw.numpy(), languages), rel=1e-12)
    scaled = raw.numpy() / np.linalg.norm(raw.numpy(), axis=1, keepdims=True)
    one_hot = np.array([[one == code for code in sorted(set(languages))] for one in languages], dtype=float)
    both = np.corrcoef(scaled, one_hot, rowvar=False)[:5, 5:]
    assert found == pytest.approx(np.abs(both).mean(), rel=1e-12)


def test_a_feature_that_is_the_language_gives_one() -> None:
    raw = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    assert correlation_penalty(raw, ["de", "de", "en"]).item() == pytest.approx(1)  # the first feature is constant


def test_languages_of_equal_vectors_give_zero() -> None:
    raw = vectors(4).repeat(2, 1)
    assert correlation_penalty(raw, ["de"] * 4 + ["en"] * 4).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(
    ("raw", "languages"),
    [
        (vectors(4), ["de"] * 4),
        (vectors(1), ["de"]),
        (vectors(0), []),
        (torch.ones(4, 3, dtype=torch.float64), ["de", "en", "de", "en"]),
        (vectors(1).repeat(4, 1) * torch.tensor([[1.0], [2], [3], [0.1]], dtype=torch.float64), list("abcd")),
    ],
)
def test_what_is_undefined_is_not_zero(raw: torch.Tensor, languages: list[str]) -> None:
    assert correlation_penalty(raw, languages) is None


def test_a_constant_feature_counts_for_nothing_and_has_no_gradient() -> None:
    raw = torch.nn.functional.normalize(vectors(6, 4), dim=1) * math.sqrt(0.75)
    wider = torch.cat([raw, torch.full((6, 1), 0.5, dtype=torch.float64)], dim=1).requires_grad_()
    languages = ["de", "en", "de", "zh", "zh", "en"]
    found = correlation_penalty(wider, languages)
    assert found.item() == pytest.approx(literal_penalty(raw.numpy(), languages), rel=1e-12)
    found.backward()
    assert torch.isfinite(wider.grad).all()


def test_it_is_the_same_in_half_precision_but_for_its_digits() -> None:
    raw, languages = vectors(40, 8), ["de", "en", "zh", "th"] * 10
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = correlation_penalty(raw.float(), languages)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(correlation_penalty(raw, languages).item(), rel=1e-5)


def test_rows_and_languages_must_match() -> None:
    with pytest.raises(ValueError, match="4 vectors, 3 languages"):
        correlation_penalty(vectors(4), ["de"] * 3)


def test_gradients_are_those_of_differences() -> None:
    languages = ["de", "en", "de", "zh", "zh", "en", "en"]
    assert torch.autograd.gradcheck(lambda raw: correlation_penalty(raw, languages), vectors(7).requires_grad_())
