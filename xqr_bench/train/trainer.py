"""sentence-transformers' trainer, fed by a batch plan."""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch.utils.data import DataLoader

from xqr_bench.train.feeding import TOKENS, PlanDataset, PlanSampler


def info_nce(model: Any, temperature: float, *, mini_batch: int = 0, gather: bool = False) -> Any:
    """InfoNCE with in-batch negatives on cosines, from the query to all passages of the batch.

    For queries q_i, passages p_j (hard negatives among them), temperature t:
    the mean over i of -log(exp(cos(q_i, p_i) / t) / sum_j exp(cos(q_i, p_j) / t)).

    Args:
        model: the `SentenceTransformer` under training.
        temperature: t.
        mini_batch: rows in memory at once, with gradients as of the whole batch (Gao et al. 2021); 0: all.
        gather: take the passages of all processes as negatives, so that several processes give the loss of one.
    """
    common = {"scale": 1.0 / temperature, "gather_across_devices": gather}
    if mini_batch:
        return CachedMultipleNegativesRankingLoss(model, mini_batch_size=mini_batch, **common)
    return MultipleNegativesRankingLoss(model, **common)


class PlanTrainer(SentenceTransformerTrainer):  # type: ignore[misc]  # the library is not typed here
    """The library's trainer in all but where batches come from: `PlanDataset`s, in the order of their plan.

    A run that is resumed skips the batches it has had and goes on with the same plan.
    """

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        """Leave the data set as it is: it has no columns of its own."""
        return dataset

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: it describes a table of texts, and a plan is none; the training record says more."""

    def get_train_dataloader(self) -> Any:
        """The batches of the plan; each process takes its part of each."""
        self.accelerator.even_batches = False
        return self.accelerator.prepare(self._loader(self.train_dataset))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of the validation plan, divided likewise; none where there is only an evaluator."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            return super().get_eval_dataloader()
        self.accelerator.even_batches = True
        return self.accelerator.prepare(self._loader(dataset))

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """One batch; counts its tokens in the state, which checkpoints keep."""
        self.state.num_input_tokens_seen += inputs.pop(TOKENS)
        return super().training_step(model, inputs, num_items_in_batch)

    def prediction_step(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        """One batch of the validation."""
        inputs.pop(TOKENS)
        return super().prediction_step(model, inputs, *arguments, **options)

    def _loader(self, dataset: PlanDataset) -> Any:
        return DataLoader(
            dataset,
            batch_sampler=PlanSampler(dataset, self.accelerator.num_processes),
            collate_fn=dataset.collate,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.args.dataloader_num_workers > 0,
        )
