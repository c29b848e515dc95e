"""The same question in two languages: its second query, and how far apart its two distributions over passages are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import nn
from torch.nn.functional import normalize

from xqr_bench.core.errors import UsageError
from xqr_bench.train.losses.infonce import loss as info_nce
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.types import Int32, Stream

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe


def log_probabilities(queries: Any, passages: Any, temperature: float) -> Any:
    """The distribution of each query over the passages of the batch, as logarithms: softmax of cosines over t.

    Args:
        queries: vectors of any length, float `[rows, dimensions]`.
        passages: likewise, `[passages, dimensions]`.
        temperature: t, above 0.

    Returns:
        float32 where the vectors have half precision, else as they are, `[rows, passages]`; each row's exp sums to 1.
    """
    with torch.autocast(queries.device.type, enabled=False):  # differences of logarithms: bfloat16 has three digits
        wide = torch.promote_types(queries.dtype, torch.float32)
        cosines = normalize(queries.to(wide), dim=-1) @ normalize(passages.to(wide), dim=-1).T
        return torch.log_softmax(cosines / temperature, dim=-1)


def kullback_leibler(p: Any, q: Any) -> Any:
    """KL(p || q) of each row, in nats: the sum over j of p_j (ln p_j - ln q_j).

    Args:
        p, q: logarithms of distributions, float `[rows, places]`.

    Returns:
        0 or more, `[rows]`.
    """
    return (p.exp() * (p - q)).sum(dim=-1)


def jensen_shannon(p: Any, q: Any) -> Any:
    """Half KL(p || m) plus half KL(q || m), m the mean of p and q, in nats (Lin 1991); of each row.

    Args:
        p, q: logarithms of distributions, float `[rows, places]`.

    Returns:
        0 to ln 2, `[rows]`. (scipy's `jensenshannon` is its square root.)
    """
    middle = torch.logaddexp(p, q) - math.log(2)
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def second_queries(texts: PlannedTexts, step: int, rows: slice) -> Int32:
    """For each of these rows the same question in another language of the data, drawn evenly from those it is in.

    The draw depends on the plan's seed, the step and the row only.

    Returns:
        numbers of queries of `texts.table`, int32 `[rows]`; -1 where the question is in one language only.
    """
    plan = texts.plan
    sequence = np.random.SeedSequence(plan.seed, spawn_key=(int(Stream.SECOND_QUERY), step))
    drawn = np.random.default_rng(sequence).random(plan.batch_size)[rows]
    data_set, question, language = (
        getattr(plan, name)[step, rows] for name in ("data_set", "question", "query_language")
    )
    found = np.full(len(drawn), -1, dtype=np.int32)
    for number in np.unique(data_set):
        data, at = texts.data[number], np.flatnonzero(data_set == number)
        columns = np.array([data.language_index.get(code, -1) for code in plan.languages])
        others = data.has[question[at]].copy()
        others[np.arange(len(at)), columns[language[at]]] = False
        counts = others.sum(axis=1)
        chosen = np.floor(drawn[at] * counts)[:, None]
        column = (others & (others.cumsum(axis=1) - 1 == chosen)).argmax(axis=1)
        found[at] = np.where(counts > 0, texts.table.query_numbers[number][column, question[at]], -1)
    return found


def further_queries(texts: PlannedTexts, step: int, rows: slice) -> Int32:
    """The second queries that there are: what a loss that compares them encodes beside the batch."""
    found = second_queries(texts, step, rows)
    return found[found >= 0]


def check(recipe: Recipe, context: LossContext, **_: Any) -> None:
    """Some question has to be in two languages."""
    if not any((part.has.sum(axis=1) > 1).any() for part in context.data):
        raise UsageError(
            "the loss compares each question with its translation, and no question is in two languages",
            found=f"languages of the data: {', '.join(context.languages)}",
            remedy="add data in further languages under the same question ids, or use --loss infonce",
        )


Divergence = Callable[[Any, Any], Any]


class Consistency(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """InfoNCE, and how far each question's distribution over the passages of the batch is from that of its translation.

    Each question of a batch is encoded a second time, in another language (`second_queries`). The second queries enter
    the divergence only. A question that the data has in one language only has none and is left out of the mean.

    Args:
        model, recipe, context: as of every loss.
        divergence: of two distributions, the first of the row's own query, given as logarithms.
        weight: of the mean divergence.
        rest: weight of InfoNCE.
    """

    def __init__(
        self, model: Any, recipe: Recipe, context: LossContext, divergence: Divergence, weight: float, rest: float
    ) -> None:
        super().__init__()
        self.model, self.info_nce = model, info_nce(model, recipe, context)
        self._context, self._temperature = context, recipe.temperature
        self._divergence, self._weight, self._rest = divergence, weight, rest

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Any) -> Any:
        """The two parts, weighted, as one number; without a second query in the batch InfoNCE's part alone."""
        queries, *passages = embed_columns(self.model, sentence_features)
        loss = self._rest * self.info_nce.compute_loss_from_embeddings([queries, *passages], labels)
        candidates = torch.cat([self._context.gathered(column) for column in passages])
        rows = self._context.rows
        numbers = second_queries(rows.planned, rows.step, rows.rows)
        at = np.flatnonzero(numbers >= 0)
        if not len(at):
            return loss
        texts = [rows.planned.table.queries[number] for number in numbers[at]]
        second = self.model(self._context.features(texts, "query"))["sentence_embedding"]
        first = queries[torch.from_numpy(at).to(queries.device)]
        p, q = (log_probabilities(one, candidates, self._temperature) for one in (first, second))
        return loss + self._weight * self._divergence(p, q).mean()
