"""Records -> the `model-index` metadata of a model card on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xqr_bench.core.errors import UsageError
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure
from xqr_bench.record import Record

REPOSITORIES = {"xquad-r": "google-research-datasets/lareqa", "mlqa-r": "google-research-datasets/lareqa"}


def model_card(records: Sequence[Record], *, metrics: Sequence[str] | None = None) -> str:
    """The front matter of a model card: one result for each task and setting, with its macro averages.

    Args:
        records: of one model, one a task, each of a whole task.
        metrics: only these; default: every score of the records, and the rank distance.

    Returns:
        YAML between two lines `---`.

    Raises:
        UsageError: no record, several models, a task twice, a partial record, or nothing is left to write.
    """
    from huggingface_hub import EvalResult, ModelCardData

    if not records:
        raise UsageError("there is no record to export", remedy="name the JSON files of records")
    models, tasks = [record.model.name for record in records], [record.task.name for record in records]
    if len(set(models)) > 1:
        names = ", ".join(dict.fromkeys(models))
        raise UsageError("a model card is about one model", found=names, remedy="export each model by itself")
    for place, record in enumerate(records):
        if record.task.partial or record.task.demonstration:
            what = "a part of a task" if record.task.partial else "a demonstration"
            raise UsageError(
                f"the record of {record.task.name} is of {what}: not for a model card",
                remedy="evaluate on a whole task, such as --task xquad-r",
            )
        if record.task.name in tasks[:place]:
            raise UsageError(f"two records of {record.task.name}", remedy="name one record a task")
    wanted = None if metrics is None else [parse_metric(name).name for name in metrics]
    results = [
        EvalResult(
            task_type="text-retrieval",
            task_name="Retrieval",
            dataset_type=REPOSITORIES.get(record.task.name, record.task.name),
            dataset_name=f"{record.task.title} ({setting})",
            dataset_config=f"{record.task.name}-{setting}",
            dataset_split="test",
            dataset_revision=record.task.revision,
            metric_type=metric.replace("@", "_at_"),
            metric_name=f"{metric}, {setting}, macro average",
            metric_value=_short(score.value),
            metric_args=_arguments(score),
        )
        for record in records
        for setting, scores in record.scores.items()
        for metric, score in scores.macro.items()
        if score.value is not None and _is_wanted(metric, wanted)
    ]
    if not results:
        raise UsageError(
            "the records have none of these metrics",
            found=", ".join(dict.fromkeys(name for record in records for name in record.task.metrics)),
            remedy="choose among them",
        )
    data = ModelCardData(model_name=models[0], eval_results=results)
    return f"---\n{data.to_yaml().rstrip()}\n---\n"


def _is_wanted(metric: str, wanted: Sequence[str] | None) -> bool:
    if wanted is not None:
        return metric in wanted
    return parse_metric(metric).kind == "score" or metric == "rank_distance"


def _short(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")


def _arguments(score: Figure) -> dict[str, Any] | None:
    """What is needed to read the figure."""
    arguments: dict[str, Any] = {}
    if score.interval is not None and not score.thin[0]:
        arguments["interval"] = [_short(score.interval.low), _short(score.interval.high)]
        arguments["level"] = score.interval.level
    if score.random_reference is not None:
        arguments["random_reference"] = _short(score.random_reference)
    return arguments or None
