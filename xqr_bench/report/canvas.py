"""What all charts share: their style, fonts for every script, saving."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xqr_bench.analysis.asked import Look
from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.observe import Notice
from xqr_bench.core.printable import has_text, shown
from xqr_bench.core.types import STRICT
from xqr_bench.report.scripts import font_of, needs_shaping, script_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.3  # inches: one of two columns
LEAST_HEIGHT = 0.85
"""Of the height that a figure is made for."""
SMALL = 7.0  # points; nothing is smaller
SEQUENTIAL = "cividis"
DIFFERENCE = "BrBG"
POSITION = "PuOr_r"
GREY = "#d9d9d9"
DARK_GREY = "#8c8c8c"
FAINT = "#595959"
DARK = "#404040"
# Okabe & Ito 2008
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
BLUE = COLOURS[0]
# what must be told not to write, so that the same plot has the same bytes
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
HEADLINE = "headline"
OWN_FONT = "DejaVu Sans"  # comes with matplotlib
_STYLE = {
    "font.family": OWN_FONT,
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
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder", remedy=f"name the file to draw: {Path(path) / 'plot.png'}")
    if suffix not in METADATA:
        problem = f"a plot cannot be written as {suffix!r}" if suffix else "the name does not say how to write a plot"
        raise UsageError(f"{path}: {problem}", remedy="end the name with .png, .svg or .pdf")
    return suffix


@contextmanager
def drawing(height: float, rows: int = 1, columns: int = 1, **subplots: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of a column's width and this height in inches, in the common style, and its panels `[rows, columns]`."""
    import matplotlib
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its caches of fonts are no business of a reader
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def save(figure: Figure, path: Path, look: Look | None = None) -> Path:
    """Write the figure, whole or not at all; the same figure gives the same bytes.

    Args:
        figure: as drawn.
        path: .png, .svg or .pdf.
        look: another title or size.
    """
    import matplotlib

    form = check_output(path)
    look, needed = look or Look(), figure.get_figheight()
    with matplotlib.rc_context(_STYLE):
        _put_on(figure, look)
    low = figure.get_figheight() < LEAST_HEIGHT * needed
    squeezed = [f"{path}: texts may stand on each other: they need a height of {needed:.1f} inches"] if low else []
    for told in (*squeezed, *_undrawn(figure, path)):
        warnings.warn(told, Notice, stacklevel=2)
    with atomic_path(path) as temporary, matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # told above, once
        figure.savefig(temporary, format=form, metadata=METADATA[form])
        if form == "svg":  # its comments hold the texts that are drawn
            temporary.write_text(shown(temporary.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return path


def headline(figure: Figure, ax: Axes | None, text: str, **more: Any) -> None:
    """What the figure is about, above a panel or above all: `--title` takes its place."""
    above_all = {"x": 0.01, "ha": "left", "fontsize": 8.0}
    title = figure.suptitle(text, **above_all) if ax is None else ax.set_title(text, loc="left", **more)
    title.set_gid(HEADLINE)


def _put_on(figure: Figure, look: Look) -> None:
    from matplotlib.text import Text

    if look.title is not None:
        heads = [one for one in figure.findobj(Text) if isinstance(one, Text) and one.get_gid() == HEADLINE]
        if len(heads) == 1:
            heads[0].set_text(look.title)
        elif look.title:
            headline(figure, None, look.title)
    if look.size is not None:
        width, height = look.size
        if height is None:  # a map keeps its shape, rows their height
            square = any(ax.get_aspect() == 1.0 for ax in figure.axes)
            height = figure.get_figheight() * (width / WIDTH if square else 1.0)
        figure.set_size_inches(width, height)


def _undrawn(figure: Figure, path: Path) -> Iterator[str]:
    """What of the texts cannot be drawn as it is written, and what to install."""
    import matplotlib
    from matplotlib import ft2font
    from matplotlib.text import Text

    if missing := _find_fonts(figure):
        fonts = ", ".join(dict.fromkeys(font_of(script_of(sign)) for sign in missing))
        yield (
            f"no font of this machine has {' '.join(missing)}: a box stands for each in {path}; install {fonts} "
            "(Debian and Ubuntu: fonts-noto-cjk, fonts-noto-core), and draw it again"
        )
    unshaped = [text.get_text() for text in figure.findobj(Text) if needs_shaping(text.get_text())]
    if unshaped and not hasattr(ft2font, "__libraqm_version__"):
        yield (
            f"matplotlib {matplotlib.__version__} neither joins nor turns round the letters of {unshaped[0]!r} in "
            f"{path}: install matplotlib 3.11 or later, and draw it again"
        )


def _find_fonts(figure: Figure) -> list[str]:
    """Give texts in other scripts than the plots' own font has fonts of the system that have them.

    Returns:
        the characters that no font has.
    """
    from matplotlib.font_manager import findfont, findSystemFonts, fontManager, get_font
    from matplotlib.text import Text

    own = get_font(findfont(OWN_FONT))
    texts = [(text, {sign for sign in text.get_text() if has_text(sign)}) for text in figure.findobj(Text)]
    missing = {sign for _, signs in texts for sign in signs if not own.get_char_index(ord(sign))}
    if not missing:
        return []
    families = [OWN_FONT]
    left = set(missing)
    for path in sorted(findSystemFonts(), key=_plainest_first):
        try:
            font = get_font(path)
            covered = {sign for sign in left if font.scalable and font.get_char_index(ord(sign))}
            if covered:
                fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError):  # no font that can be read
            continue
        if covered and "Last Resort" not in font.family_name:  # it draws which block a character is of
            families.append(font.family_name)
            left -= covered
        if not left:
            break
    for text, signs in texts:
        if signs & missing:
            text.set_fontfamily(families)
    return sorted(left)


def _plainest_first(path: str) -> tuple[bool, bool, bool, str]:
    name = Path(path).name
    return "Regular" not in name, "Noto" not in name, "Sans" not in name, name


def legend(figure: Figure, keys: Iterable[dict[str, Any]], ncols: int, **more: Any) -> None:
    """A legend below all panels, from labels with the styles of their lines."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **key) for key in keys]
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, frameon=False, **more)


def colour_bar(figure: Figure, ax: Axes, coloured: Any, label: str, **more: Any) -> None:
    """What the colours of a panel mean."""
    bar = figure.colorbar(coloured, ax=ax, shrink=0.8, pad=0.02, **more)
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)


def estimate(
    ax: Axes, at: float, value: float, intervals: Iterable[tuple[float, float, float]], line: str, **dot: Any
) -> None:
    """A dot with its intervals (low, high, width of the line), at a height of the panel."""
    for low, high, width in intervals:
        ax.plot([low, high], [at, at], color=line, linewidth=width, solid_capstyle="butt")
    ax.plot([value], [at], marker="o", **dot)


def named_rows(ax: Axes, places: Sequence[float], names: Sequence[str], ticks: int) -> None:
    """Names on the left of the places, and so many ticks below."""
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.locator_params(axis="x", nbins=ticks)


def under(relevance: str, before: str = ", ") -> str:
    """The end of a title: the rule of relevance where it is not the strict one."""
    return "" if relevance == STRICT else f"{before}{relevance} relevance"
