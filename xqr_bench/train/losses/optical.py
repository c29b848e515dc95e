"""Optimal-transport token alignment in the manner of OPTICAL (Huang et al. 2023, arXiv 2301.12566)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import normalize

from xqr_bench.core.errors import UsageError
from xqr_bench.train.losses.infonce import loss as info_nce

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe


def transport_costs(
    first: Any, first_mask: Any, second: Any, second_mask: Any, regularisation: float, iterations: int
) -> Any:
    """What it costs to move the tokens of each text to those of its translation.

    C_ij = 1 - cos(x_i, y_j); every token of a text has the same mass; T minimises <T, C> - regularisation * H(T) over
    all plans with these margins (Cuturi 2013), found by POT; the cost is <T, C>. T is taken as constant: the gradient
    with respect to C is T.

    Args:
        first, second: vectors of tokens, float `[rows, tokens, dimensions]`, padded.
        first_mask, second_mask: 1 where there is a token, `[rows, tokens]`.
        regularisation: above 0.
        iterations: of Sinkhorn's algorithm at most; it ends where the margins are right to 1e-6.

    Returns:
        float32 `[rows]`.
    """
    from ot.batch import solve_batch

    with torch.autocast(first.device.type, enabled=False):  # differences of cosines: bfloat16 has three digits
        costs = 1 - normalize(first.float(), dim=-1) @ normalize(second.float(), dim=-1).transpose(1, 2)
        masses = [mask.double() / mask.sum(dim=1, keepdim=True) for mask in (first_mask, second_mask)]
        with torch.no_grad():
            solved = solve_batch(costs.detach().double(), regularisation, *masses, max_iter=iterations, tol=1e-6)
        return (solved.plan.to(costs.dtype) * costs).sum(dim=(1, 2))


class TokenTransport(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """(1 - weight) InfoNCE + weight times the mean cost of moving each sentence's tokens to its translation's.

    There the tokens of one side are a teacher's; here both are the model's own, and InfoNCE keeps them apart. For
    bitext: `--data` a bitext, `--plan x-y`. All tokens that are not padding take part, prompts and special tokens
    among them. Published settings could not be had: weight, regularisation and number of iterations are ours.

    Args:
        model: the `SentenceTransformer` under training, of a transformer.
        recipe: of the training.
        context: whose data has to be bitext.
        weight: of the transport, 0 to 1.
        regularisation: of the plan's entropy; cosines differ by 2 at most.
        iterations: of Sinkhorn's algorithm at most.

    Raises:
        UsageError: a model without vectors of tokens.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        context: LossContext,
        *,
        weight: Annotated[float, Field(ge=0, le=1)] = 0.5,
        regularisation: Annotated[float, Field(ge=0.01)] = 0.1,
        iterations: Annotated[int, Field(ge=1)] = 200,
    ) -> None:
        super().__init__()
        if not model.has_peft_compatible_model():
            raise UsageError("the loss optical needs a transformer's vectors of tokens", remedy="use another base")
        self.model, self.weight = model, weight
        self.regularisation, self.iterations = regularisation, iterations
        self.info_nce = info_nce(model, recipe, context)

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        """The loss of a batch, a scalar."""
        made = [self.model(dict(features)) for features in sentence_features]
        tokens = [(one["token_embeddings"], one["attention_mask"]) for one in made[:2]]
        costs = transport_costs(*tokens[0], *tokens[1], self.regularisation, self.iterations)
        own = self.info_nce.compute_loss_from_embeddings([one["sentence_embedding"] for one in made], None)
        return (1 - self.weight) * own + self.weight * costs.mean()


def check(recipe: Recipe, context: LossContext, **_: Any) -> None:
    """POT is needed, and bitext."""
    if find_spec("ot") is None:
        raise UsageError("the loss optical needs the package POT", remedy="pip install 'xqr-bench[transport]'")
    others = [part.name for part in context.data if part.kind != "bitext"]
    if others:
        raise UsageError(
            "the loss optical aligns sentences with their translations",
            found=f"data that is no bitext: {', '.join(others)}",
            remedy="train it on bitext, such as a folder of NTREX",
        )


TokenTransport.check = staticmethod(check)  # type: ignore[attr-defined]
loss = TokenTransport
