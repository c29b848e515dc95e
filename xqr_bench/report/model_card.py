"""Records -> the `model-index` metadata of a model card on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xqr_bench.core.errors import UsageError
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure
from xqr_bench.record import Record

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASK_TYPE = "text-retrieval"
TASK_NAME = "Retrieval"
SPLIT = "test"
DIGITS = 6
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
    from huggingface_hub import ModelCardData

    if not records:
        raise UsageError("there is no record to export", remedy="name the JSON files of records")
    names = list(dict.fromkeys(record.model.name for record in records))
    if len(names) > 1:
        raise UsageError(
            "a model card is about one model", found=", ".join(names), remedy="export each model by itself"
        )
    _refuse_unfit(records)
    wanted = None if metrics is None else [parse_metric(name).name for name in metrics]
    results = [result for record in records for result in _results(record, wanted)]
    if not results:
        raise UsageError(
            "the records have none of these metrics",
            found=", ".join(dict.fromkeys(name for record in records for name in record.task.metrics)),
            remedy="choose among them",
        )
    data = ModelCardData(model_name=names[0], eval_results=results)
    return f"---\n{data.to_yaml().rstrip()}\n---\n"


def _refuse_unfit(records: Sequence[Record]) -> None:
    seen = set()
    for record in records:
        if record.task.partial or record.task.demonstration:
            what = "a part of a task" if record.task.partial else "a demonstration"
            raise UsageError(
                f"the record of {record.task.name} is of {what}: not for a model card",
                remedy="evaluate on a whole task, such as --task xquad-r",
            )
        if record.task.name in seen:
            raise UsageError(f"two records of {record.task.name}", remedy="name one record a task")
        seen.add(record.task.name)


def _results(record: Record, wanted: Sequence[str] | None) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    for setting, scores in record.scores.items():
        for metric, score in scores.macro.items():
            if score.value is None or not _is_wanted(metric, wanted):
                continue
            yield EvalResult(
                task_type=TASK_TYPE,
                task_name=TASK_NAME,
                dataset_type=REPOSITORIES.get(record.task.name, record.task.name),
                dataset_name=f"{record.task.title} ({setting})",
                dataset_config=f"{record.task.name}-{setting}",
                dataset_split=SPLIT,
                dataset_revision=record.task.revision,
                metric_type=metric.replace("@", "_at_"),
                metric_name=f"{metric}, {setting}, macro average",
                metric_value=float(f"{score.value:.{DIGITS}g}"),
                metric_args=_arguments(score),
            )


def _is_wanted(metric: str, wanted: Sequence[str] | None) -> bool:
    if wanted is not None:
        return metric in wanted
    return parse_metric(metric).kind == "score" or metric == "rank_distance"


def _arguments(score: Figure) -> dict[str, Any] | None:
    """What is needed to read the figure."""
    arguments: dict[str, Any] = {}
    if score.interval is not None:
        bounds = (score.interval.low, score.interval.high)
        arguments["interval"] = [float(f"{bound:.{DIGITS}g}") for bound in bounds]
        arguments["level"] = score.interval.level
    if score.random_reference is not None:
        arguments["random_reference"] = float(f"{score.random_reference:.{DIGITS}g}")
    return arguments or None
