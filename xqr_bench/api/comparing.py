"""`xqr_bench.compare`: which differences between records are real, from Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from xqr_bench.analysis.asked import Choice, Look, Paper
from xqr_bench.analysis.choice import TaskComparison
from xqr_bench.analysis.compare import compare as compare_tasks
from xqr_bench.api.views import comparison_html, confirmatory
from xqr_bench.core.checked import checked
from xqr_bench.core.frames import Backend, columns_of, data_frame, with_ends
from xqr_bench.measure.resampling import RESAMPLES
from xqr_bench.record import Record
from xqr_bench.report import canvas, charts, comparison, papers, plots
from xqr_bench.report.numbers import cell_name, signed

if TYPE_CHECKING:
    import pandas
    import polars

LINES = 12
"""Of a comparison, printed as one."""


@dataclass(frozen=True, repr=False)
class Comparisons:
    """What `compare` found; a notebook shows its main table, `print` the same in lines.

    Attributes:
        tasks: everything found for each task, in the order of the records: `comparisons` (each figure of two records),
            `displays` (letters, of more than two), `languages` (the worst ones), `power` and more.
    """

    tasks: tuple[TaskComparison, ...]

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[TaskComparison]:
        return iter(self.tasks)

    def __getitem__(self, place: int) -> TaskComparison:
        return self.tasks[place]

    def __repr__(self) -> str:
        lines = [
            f"{one.task} {one.setting} {one.metric}{f' {cell_name(one)}' if one.key else ''}: "
            f"{one.b} minus {one.a} {signed(one.difference)}, {one.verdict}"
            for task in self.tasks
            for one in confirmatory(task)
        ]
        more = [f"and {len(lines) - LINES} more: .to_frame() has all"] if len(lines) > LINES else []
        return "\n".join([*lines[:LINES], *more])

    def _repr_html_(self) -> str:
        return comparison_html(self.tasks)

    @overload
    def to_frame(self, backend: Literal["pandas"] = "pandas") -> pandas.DataFrame: ...
    @overload
    def to_frame(self, backend: Literal["polars"]) -> polars.DataFrame: ...
    def to_frame(self, backend: Backend = "pandas") -> pandas.DataFrame | polars.DataFrame:
        """Every compared figure as a data frame, one row a figure of two records.

        The confirmatory ones of a task stand first. Columns: task, a and b (the labels of the records), setting,
        metric, scope, key, family, value_a, value_b, difference (b minus a), its intervals (`interval_low`,
        `article_interval_low` and so on), p-values, adjusted and not, verdict, and what they were made from;
        `largest_article_share`, `_difference` and `_p_article` where one article holds half of the spread or more
        (docs/compare.md).

        Args:
            backend: the library that holds it: pandas, or polars (`pip install polars`).

        Raises:
            UsageError: there is no such library, or it is not installed.
        """
        rows = []
        for one in (one for task in self.tasks for one in task.comparisons):
            row = with_ends(one)
            article = row.pop("largest_article")
            for name in ("share", "difference", "p_article"):
                row[f"largest_article_{name}"] = None if article is None else getattr(article, name)
            row["interval_thin"], row["article_interval_thin"] = one.thin
            rows.append(row)
        return data_frame(columns_of(rows), backend)

    def to_json(self) -> str:
        """All that was found, as `xqr-bench compare --json` prints it."""
        return comparison.comparison_json(self.tasks)

    def to_markdown(self) -> str:
        """All tables in Markdown, as `xqr-bench compare --markdown` prints them."""
        return comparison.comparison_markdown(self.tasks)

    def to_latex(
        self,
        table: str = "main",
        *,
        label: str | None = None,
        caption: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> str:
        """A table for a paper, as `xqr-bench compare --latex` prints it; its comments say which packages it needs.

        Args:
            table: main (a row a record, a column a setting, the best in bold), languages, pairs, power, or all.
            label: what `\\label` calls it.
            caption: LaTeX in place of its own caption.
            labels: what the records are called, in their order.

        Raises:
            UsageError: there is no such table or it would be empty, or LaTeX could not read what is given.
        """
        return papers.comparison_latex(plots.called(self.tasks, Look(labels=labels)), Paper(table, label, caption))

    def plot(
        self,
        path: Path | str,
        *,
        title: str | None = None,
        labels: Sequence[str] | None = None,
        size: tuple[float, float | None] | None = None,
    ) -> Path:
        """Draw the differences with their intervals (a forest plot).

        Args:
            path: .png, .svg or .pdf.
            title: in place of its own; an empty one leaves it out.
            labels: what the records are called, in their order.
            size: width and height in inches; without a height that of its rows.

        Returns:
            the path written.

        Raises:
            UsageError: another format, or not as many labels as records.
        """
        canvas.check_output(path)
        look = Look(labels, title, size)
        return canvas.save(charts.draw_forest(plots.called(self.tasks, look)), Path(path), look)


@checked
def compare(
    *records: Record | Path | str | Sequence[Record | Path | str],
    metrics: Sequence[str] = (),
    settings: Sequence[str] = (),
    languages: Sequence[str] = (),
    groups: Sequence[str] = (),
    relevance: str = "strict",
    adjust: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparisons:
    """Compare records of the same task: differences with intervals, tests and effect sizes.

    The figures are those of `xqr-bench compare`.
    MAP in each setting is the confirmatory family; whatever metrics, languages and groups choose is exploratory and
    adjusted apart (docs/compare.md). Without these, the language groups of two records are compared too.

    Args:
        records: two or more of each task: what `evaluate` or `load_record` returns, files of records, folders that hold
            some, or lists of these. Their ranks are needed, in them or beside their files.
        metrics: also compare these metrics, such as `["recall@10"]`; "all" among them: all.
        settings: beside MAP, only these settings.
        languages: also compare these query languages or pairs (`"th"`, `"en>de"`) and their gaps to English.
        groups: also compare these language groups and their gaps.
        relevance: strict, lenient, paragraph or judged (docs/relevance.md).
        adjust: "max-t" or "bh" for what is exploratory; default max-T for two records, BH for more.
        seed: of every draw; the same seed gives the same figures.
        resamples: of the randomisation tests and bootstraps, at least 100.

    Returns:
        what was found for each task.

    Raises:
        UsageError: the records cannot be compared, or a name is not known.
        RecordError: a record or its ranks cannot be read, or its scores do not follow from its ranks.
    """
    flat: list[Any] = []
    for one in records:
        flat += one if isinstance(one, Sequence) and not isinstance(one, str) else [one]
    choice = Choice(tuple(metrics), tuple(settings), tuple(languages), tuple(groups), relevance)
    return Comparisons(tuple(compare_tasks(flat, choice, adjust=adjust, seed=seed, resamples=resamples)))
