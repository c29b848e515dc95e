"""A sentence-transformers evaluator: a task scored inside anyone's own training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers.base.evaluation import BaseEvaluator

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import MULTILINGUAL
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.ranker import Task
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.tasks import TaskSpec, load_task, resolve_task


class XqrEvaluator(BaseEvaluator):  # type: ignore[misc]  # the library is not typed here
    """Scores a model on a task through `evaluate`, without intervals.

    Give it to a `SentenceTransformerTrainer` as `evaluator`, or call it with a model. It returns
    `<name>_<setting>_<metric>` -> macro average, such as `xquad-r_multilingual_map`; a figure that cannot be computed
    is left out. The texts are read once, when the evaluator is made.

    Args:
        task: name of a task, path of a task file, or a spec.
        metrics: which; of the settings of the task each in those it is defined for.
        primary: `<setting>_<metric>` by which models are chosen (`load_best_model_at_end`); its metric has to be
            one of `metrics`, and a score: more is better.
        name: before each key; None: the task's name.
        data_dir, languages, limit: as for `evaluate`.
        batch_size: texts encoded together, at most.

    Attributes:
        primary_metric: the key of `primary`.
        greater_is_better: True.

    Raises:
        UnknownNameError: there is no such task or metric.
        UsageError: `primary` is not among the scores.
        DataError: the task's data is missing or damaged.
    """

    def __init__(
        self,
        task: str | Path | TaskSpec = "mini",
        *,
        metrics: Sequence[str] = ("map", "rank_distance"),
        primary: str = f"{MULTILINGUAL}_map",
        name: str | None = None,
        data_dir: Path | str | None = None,
        languages: Sequence[str] | None = None,
        limit: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        spec = resolve_task(task).model_copy(update={"relevance": ()})
        parsed = [parse_metric(metric) for metric in metrics]
        scores = [metric for metric in parsed if metric.kind == "score"]
        keys = {f"{setting}_{m.name}" for setting in spec.settings for m in scores if setting in m.settings}
        if primary not in keys:
            raise UsageError(
                f"{primary!r} is no score of this evaluator", remedy=f"use one of: {', '.join(sorted(keys))}"
            )
        self._metrics = tuple(dict.fromkeys(metric.name for metric in parsed))
        self._options = EncoderOptions(batch_size=batch_size)
        self._task = Task(spec, load_task(spec, data_dir=data_dir, languages=languages, limit=limit))
        self.name = spec.name if name is None else name
        self.primary_metric = f"{self.name}_{primary}" if self.name else primary

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Score the model.

        Args:
            model: a SentenceTransformer.
            output_path, epoch, steps: of the library's protocol; nothing is written.

        Raises:
            EncoderError: it returned what cannot be scored.
        """
        (record,) = evaluate(model, [self._task], metrics=self._metrics, options=self._options, intervals=False)
        figures = {
            f"{setting}_{metric}": figure.value
            for setting, scores in record.scores.items()
            for metric, figure in scores.macro.items()
            if figure.value is not None
        }
        named: dict[str, float] = self.prefix_name_to_metrics(figures, self.name)
        return named

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card says of the evaluator."""
        return {"task": self._task.spec.name, "metrics": list(self._metrics)}
