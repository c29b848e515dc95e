"""What all plots share: the width of a paper's column, colours that colour-blind readers tell apart, saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xqr_bench.errors import UsageError
from xqr_bench.files import atomic_path
from xqr_bench.printable import shown
from xqr_bench.types import STRICT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 3.3  # inches: one of two columns
SMALL = 7.0  # points; nothing is smaller
SEQUENTIAL = "cividis"
DIFFERENCE = "BrBG"
POSITION = "PuOr_r"
GREY = "#d9d9d9"
FAINT = "#595959"
DARK = "#404040"
# Okabe & Ito 2008
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
# what must be told not to write, so that the same plot has the same bytes
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": SMALL,
    "axes.titlesize": 8.0,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "xqr-bench",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a name with $ is no formula
    "figure.dpi": 300,
    "savefig.dpi": 300,
}


def check_output(path: Path | str) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: it is none of the known ones.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in METADATA:
        raise UsageError(
            f"{path}: plots cannot be written as {suffix or 'a file without an ending'!r}",
            remedy="end the name with .png, .svg or .pdf",
        )
    return suffix


@contextmanager
def drawing(height: float) -> Iterator[Figure]:
    """A figure of one column's width and this height in inches, in the common style."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def save(figure: Figure, path: Path) -> Path:
    """Write the figure, whole or not at all; the same figure gives the same bytes."""
    import matplotlib

    form = check_output(path)
    with atomic_path(path) as temporary, matplotlib.rc_context(_STYLE):
        figure.savefig(temporary, format=form, metadata=METADATA[form])
        if form == "svg":  # its comments hold the texts that are drawn
            temporary.write_text(shown(temporary.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return path


def short(name: str, length: int = 34) -> str:
    """A model's name, cut in the middle where it is too long for a column."""
    if len(name) <= length:
        return name
    half = (length - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def under(relevance: str, before: str = ", ") -> str:
    """The end of a title: the rule of relevance where it is not the strict one."""
    return "" if relevance == STRICT else f"{before}{relevance} relevance"
