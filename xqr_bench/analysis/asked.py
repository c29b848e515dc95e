"""What comparisons, pools and plots are asked for; the options of `compare`, `pools` and `plot` are made from these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.options import Commas, Option


@checked
@dataclass(frozen=True)
class Choice:
    """Exploratory cells as asked for; "all" stands for everything there is.

    Without metrics, languages and groups, the exploratory cells are `own_language_first`, and, where a record says in
    which languages its model was trained, MAP of all groups and their gaps to English;
    with metrics alone, the macro averages of these; else the languages (or pairs, `en>de`) and groups named, with
    their gaps to English.

    Attributes:
        metrics: Also compare this metric; repeat for more, or `all`.
        settings: Beside MAP, only this setting; repeat for more.
        languages: Also compare this query language or pair (`th`, `en>de`) and its gap to English; or `all`.
        groups: Also compare this language group and its gap; or `all`.
        relevance: strict, lenient, paragraph or judged (docs/relevance.md).
    """

    section: ClassVar = "Exploratory cells"

    metrics: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    relevance: str = "strict"

    @property
    def explicit(self) -> bool:
        """Whether any cell was asked for."""
        return bool(self.metrics or self.languages or self.groups)


def check_seed(seed: int) -> None:
    """Raise UsageError for a seed that cannot be meant."""
    if seed < 0:
        raise UsageError(f"the seed is {seed}", remedy="give a whole number of at least 0")


@checked
@dataclass(frozen=True)
class Pools:
    """Which pools are looked at.

    Attributes:
        show: Some of pool, labelled, leave-one-out, pairs, growth, equal-size, by commas; default: all but pairs.
        languages: The pool: only candidates of these languages, separated by commas.
        queries: Query languages of the pool; default: those of its candidates.
        metrics: Of the multilingual setting, separated by commas.
        relevance: strict or lenient (docs/relevance.md).
        order: Growth: add languages in this order instead of looking at many pools of each size.
        limit: Growth: pools of a size at most.
        size: Equal size: candidates of each language; default: those of the smallest.
        seed: Of sampled pools and of intervals.

    Raises:
        UsageError: a seed that cannot be meant.
    """

    show: Commas = None
    languages: Commas = None
    queries: Commas = None
    metrics: Commas = None
    relevance: str = "strict"
    order: Commas = None
    limit: int = 20  # with 11 languages there are up to 462
    size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)


@checked
@dataclass(frozen=True)
class Drawn:
    """What is drawn of records.

    Attributes:
        kind: heatmap (default for one record), languages, forest (default for more), bias, frontier.
        metric: What is drawn; bias draws language_position.
        setting: Of `languages` (default: multilingual) and `forest` (default: all).
        relevance: strict, lenient, paragraph or judged; not of bias.
    """

    kind: str | None = None
    metric: str = "map"
    setting: str | None = None
    relevance: str = "strict"


def _inches(text: str) -> tuple[float, float | None]:
    """Width and height of a figure, as `6.3x4` or `6.3`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:x(\d+(?:\.\d+)?))?", text.strip())
    sides = [float(side) for side in found.groups() if side is not None] if found else []
    if not sides or not all(1 <= side <= 50 for side in sides):
        raise ValueError("give inches from 1 to 50: the width, or width and height, such as 6.3 or 6.3x4")
    return sides[0], sides[1] if len(sides) > 1 else None


@checked
@dataclass(frozen=True)
class Look:
    """How records are called, and how a figure of them looks.

    Attributes:
        labels: What the records are called instead, in their order, separated by commas.
        title: Of the figure; an empty one leaves it out.
        size: Of the figure in inches, such as 6.3x4, or its width alone. Default: 3.3 wide, a column of a paper.
    """

    section: ClassVar = "Names and figure"

    labels: Commas = None
    title: str | None = None
    size: Annotated[tuple[float, float | None] | None, Option(metavar="WIDTH[xHEIGHT]", parse=_inches)] = None

    def names(self, names: Iterable[str]) -> dict[str, str]:
        """What each record is called: its name, or the label at its place among the different names.

        Raises:
            UsageError: there are not as many labels as different names, or two are the same.
        """
        found = list(dict.fromkeys(names))
        if self.labels is None:
            return {name: name for name in found}
        if len(self.labels) != len(found):
            raise UsageError(
                f"--labels names {len(self.labels)} of {len(found)} records",
                found=", ".join(found),
                remedy="give a label for each, in this order, separated by commas",
            )
        if len(set(self.labels)) < len(found):
            raise UsageError("--labels calls two records the same", remedy="give each its own")
        return dict(zip(found, self.labels, strict=True))


PAPER_TABLES = ("main", "languages", "pairs", "power", "all")


@checked
@dataclass(frozen=True)
class Paper:
    """Which table of a paper is written, in LaTeX.

    Attributes:
        table: main (default): a row a record, a column a setting, the best in bold; languages: a column a query
            language; pairs: what each two records differ by; power: the smallest differences that can be found; all.
        label: What \\label calls the table; of several tables each gets the name of its task behind it.
        caption: LaTeX that stands in place of the table's own caption.

    Raises:
        UsageError: a table that there is not, or a label or caption that LaTeX cannot read.
    """

    section: ClassVar = "A table for a paper"

    table: str = "main"
    label: str | None = None
    caption: str | None = None

    def __post_init__(self) -> None:
        if self.table not in PAPER_TABLES:
            raise UnknownNameError("table", self.table, PAPER_TABLES)
        if self.label is not None and not re.fullmatch(r"[A-Za-z0-9:./_+-]+", self.label):
            raise UsageError(
                f"--label cannot be {self.label!r}", remedy="use letters, digits and :./_+- only, such as tab:main"
            )
        if self.caption is not None and not _balanced(self.caption):
            raise UsageError(
                "--caption is no LaTeX: its braces do not match, or a % in it hides the rest",
                remedy=r"close each { by a }, and write \%, \{ and \} where they mean themselves",
            )

    def refuse_without_latex(self) -> None:
        """Raise UsageError where something is asked of a table that is not written."""
        given = [f"--{one.name}" for one in fields(self) if getattr(self, one.name) != one.default]
        if given:
            raise UsageError(f"{', '.join(given)} is about a table in LaTeX", remedy="give --latex too")


def _balanced(latex: str) -> bool:
    depth = 0
    for sign in re.findall(r"\\.|[{}%]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0 or sign == "%":
            return False
    return depth == 0 and not re.search(r"(?<!\\)(\\\\)*\\$", latex)
