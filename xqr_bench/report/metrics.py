"""The reference of metrics, generated from the registry."""

from __future__ import annotations

from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.metrics import Metric, metric_names, parse_metric

EXAMPLE_CUTOFF = "10"


def metric_facts() -> list[Metric]:
    """Every registered metric, those with a cutoff at k = 10."""
    return [parse_metric(name.replace("@k", f"@{EXAMPLE_CUTOFF}")) for name in metric_names()]


def metrics_markdown() -> str:
    """One section a metric, as docs/metrics.md holds them."""
    return "\n".join(_section(name, metric) for name, metric in zip(metric_names(), metric_facts(), strict=True))


def _section(name: str, metric: Metric) -> str:
    settings = "all settings" if metric.settings == SETTINGS else ", ".join(metric.settings)
    lines = [
        f"### `{name}`",
        "",
        metric.summary[0].upper() + metric.summary[1:] + ".",
        "",
        f"- formula: {metric.formula}",
        f"- kind: {metric.kind}; defined in: {settings}"
        + ("; needs the rank of every relevant" if metric.full_depth else ""),
        f"- source: {metric.source}",
    ]
    if metric.undefined_when:
        lines.append(f"- undefined where: {metric.undefined_when}")
    named = [
        label
        for label, function in (
            ("random reference", metric.random_reference),
            ("floor", metric.floor),
            ("ceiling", metric.ceiling),
        )
        if function is not None
    ]
    if named:
        lines.append(f"- printed beside it: {', '.join(named)}")
    return "\n".join([*lines, ""])
