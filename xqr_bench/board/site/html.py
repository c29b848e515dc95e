"""Pieces of pages: text, names, charts, and templates filled in."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from markupsafe import Markup

from xqr_bench.board.model import DECLARED, PROVED, LanguageFacts, signed_by
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.languages import GROUPS, all_groups
from xqr_bench.core.printable import shown
from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.scores import FEW, Figure
from xqr_bench.report.numbers import MARK

if TYPE_CHECKING:
    from jinja2 import Environment


# Figures and labels as the pages print them.

UNDEFINED = "–"
SETTING_LABELS = {name: name.capitalize() for name in SETTINGS}
RELEVANCE_LABELS = {
    "strict": "strict: the labelled sentences",
    "lenient": "lenient: other sentences of the paragraph that contain the answer are left out",
    "paragraph": "paragraph: every sentence of the right paragraph",
    "judged": "judged: candidates that nobody judged are left out",
}
SETTING_MEANINGS = {
    "monolingual": "query and candidates in one language; the mean over the languages",
    "cross-lingual": "candidates in one other language than the query's; the mean over the ordered language pairs",
    "multilingual": "candidates of all languages in one pool; the mean over the query languages",
}
MARK_MEANING = (
    "the encoder does not tell the texts of a language apart: its queries have fewer than 95 distinct vectors for 100 "
    "distinct texts, so the scores of this language say little"
)
STATUS_MEANINGS = {
    "reproduced": (
        "recomputed, and somebody, who is named, states to have run the encoder again and to have got the same ranks "
        "within a stated tolerance"
    ),
    "recomputed": (
        "every score follows from the ranks stored beside the record; which encoder gave these ranks is declared by "
        "the submitter"
    ),
    "published": "taken from a paper, without ranks: shown apart and never compared with the others",
}
CAPTION = "submissions proved from their ranks; models, kinds and protocols as declared"
KIND_MEANINGS = {
    "encoder": "a text encoder",
    "run": "a ranking that is not one of vectors: made elsewhere, by fusion, or by scores of pairs of texts",
    "baseline": "a ranking without a trained encoder, such as BM25",
    "floor": "random vectors: what no competitor should fall below; outside the contest",
    "ceiling": "an oracle that knows the answers: what nothing can exceed; outside the contest",
    "published": "figures from a paper",
}
_METRICS = {"map": "MAP", "mrr": "MRR", "ndcg": "nDCG", "w": "W"}


def number(value: float | None) -> str:
    """Three or four digits: `0.412`, `0.0034`, `361.5`, `10,846`; `–` where there is none.

    Halves are rounded away from zero, as the pages' scripts do.
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{_rounded(value):,}".replace("-", "−")


def as_shown(value: float) -> float | None:
    """The value as the pages print it; None where there is none."""
    return float(_rounded(value)) if math.isfinite(value) else None


def _rounded(value: float) -> Decimal:
    size = abs(value)
    digits = 0 if size >= 1000 or value == 0 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.01 else 4
    if digits == 0:  # quantize takes no more than 28 digits, and a JSON may hold any number
        return Decimal(value).to_integral_value(ROUND_HALF_UP)
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def short_number(value: float | None) -> str:
    """A value of 0 .. 1 in the least room: `.412`, `1.00`."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = str(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP))
    return text.removeprefix("0") if text.startswith("0.") else text[:4]


def p_value(value: float | None) -> str:
    """A p-value: three digits, `<0.001` below."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def metric_label(name: str) -> str:
    """`map` -> `MAP`, `recall@10` -> `Recall@10`, `rank_distance` -> `Rank distance`."""
    base, at, cutoff = name.partition("@")
    words = [_METRICS.get(word, word) for word in base.split("_")]
    words[0] = words[0] if words[0][:1] != words[0][:1].lower() or words[0] == "nDCG" else words[0].capitalize()
    return " ".join(words) + at + cutoff


def group_label(key: str) -> str:
    """In words: `joshi-3:out-of` -> `resource class 3, out of`; a task's own group by its name."""
    name, colon, way = key.partition(":")
    group = GROUPS.get(name) or all_groups().get(name)
    if group is None:
        text = name
    elif group.unseen_by:
        text = f"unseen by {group.unseen_by}"
    else:
        text = group.description.partition(",")[0].removeprefix("languages ").removeprefix("of ")
    return f"{text}, {way.replace('-', ' ')}" if colon else text


# Names that are safe in a file name, and addresses that are safe in a link.

MAX_STEM = 90
_UNSAFE = re.compile(r"[^a-z0-9._-]+")


def file_stem(text: str) -> str:
    """Lower-case letters a-z, digits, `.`, `_` and `-`; never empty, never starting with a dot or a hyphen."""
    stem = _UNSAFE.sub("-", text.lower()).strip("-.")
    return stem[:MAX_STEM].rstrip("-.") or "model"


def unique_stems(named: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    """A file stem for each of these keys, made from its text; where two would share one, each gets a digest of its key.

    Stems are lower case, so that they stay apart on file systems that ignore it.
    """
    stems = {key: file_stem(text) for key, text in named.items()}
    for digits in (8, 64):
        counts = Counter(stems.values())
        for key, stem in stems.items():
            if counts[stem] > 1:
                digest = hashlib.sha256(ascii(key).encode()).hexdigest()
                stems[key] = f"{file_stem(named[key])}-{digest[:digits]}"
    return stems


def safe_url(address: str | None) -> str | None:
    """The address, where it is http or https with a host; else None: it is then shown as text."""
    if not address or any(character.isspace() or ord(character) < 32 for character in address):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.hostname else None


# Drawings without scripts: SVG, and heat maps as tables whose cells carry a shade.
#
# They are made here, and not by a plotting library, so that they need no script, follow the reader's light or dark
# mode through the style sheet, print, and can be read by a screen reader.

SHADES = 10
LABEL, PLOT, VALUE, ROW = 98, 200, 56, 22
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
Number = int | float | str


def drawing(kind: str, width: int, height: int, label: str, parts: Iterable[Markup]) -> Markup:
    """An SVG image, one thing to a screen reader: its figures stand in a table beside it."""
    start = Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(kind, width, height, label)
    return Markup("\n").join([start, *parts, Markup("</svg>")])


def line(kind: str, x: tuple[Number, Number], y: tuple[Number, Number]) -> Markup:
    """A line of a drawing, from one end to the other."""
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(kind, *x, *y)


def words(kind: str, x: Number, y: Number, text: object) -> Markup:
    """Text in a drawing."""
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, x, y, text)


class HeatCell(NamedTuple):
    """A cell of a heat map: what it says and its shade, 0 .. SHADES - 1; None where there is no value."""

    text: str
    shade: int | None
    title: str
    diagonal: bool = False


HeatRow = tuple[LanguageFacts, list[HeatCell]]


def heat_map(
    languages: Sequence[LanguageFacts],
    values: Mapping[tuple[str, str], float | None],
    meaning: str,
) -> list[HeatRow]:
    """A square table of languages: rows are query languages, columns candidate languages.

    Args:
        languages: of the task, in order.
        values: (query language, candidate language) -> value in 0 .. 1.
        meaning: what a value is, for the text on hover.
    """

    def cell(query: LanguageFacts, candidate: LanguageFacts) -> HeatCell:
        value = values.get((query.code, candidate.code))
        shade = None if value is None or not math.isfinite(value) else min(SHADES - 1, max(0, int(value * SHADES)))
        title = f"{meaning}, {query.name} to {candidate.name}: {number(value)}"
        return HeatCell(short_number(value), shade, title, query.code == candidate.code)

    return [(query, [cell(query, candidate) for candidate in languages]) for query in languages]


def bars(
    languages: Sequence[LanguageFacts], figures: Mapping[str, Figure], label: str, marked: Set[str] = frozenset()
) -> Markup:
    """Horizontal bars of values in 0 .. 1, one a language, with both intervals."""
    bottom = ROW * len(languages)
    parts = []
    for tick in TICKS:
        x = _x(tick)
        parts += [line("grid", (x, x), (0, bottom + 4)), words("tick", x, bottom + 18, f"{tick:g}")]
    parts += [
        _bar(place * ROW, language, figures.get(language.code), language.code in marked)
        for place, language in enumerate(languages)
    ]
    return drawing("bars", LABEL + PLOT + VALUE, bottom + 24, label, parts)


def _x(value: float) -> str:
    return f"{LABEL + PLOT * min(1.0, max(0.0, value)):.2f}"


def _bar(top: int, language: LanguageFacts, figure: Figure | None, marked: bool) -> Markup:
    middle = top + ROW // 2
    code = Markup('{} <tspan class="code">{}{}</tspan>').format(language.name, language.code, MARK if marked else "")
    name = words("name", 0, middle + 4, code)
    value = figure.value if figure else None
    if figure is None or value is None or not math.isfinite(value):
        reason = (figure.undefined_reason if figure else None) or "not measured"
        dash = Markup("–<title>{}</title>").format(reason)
        return Markup("<g>{}{}</g>").format(name, words("value", LABEL + 4, middle + 4, dash))
    bar = Markup('<rect class="bar" x="{}" y="{}" width="{:.2f}" height="{}"/>').format(
        LABEL, top + 5, float(_x(value)) - LABEL, ROW - 10
    )
    intervals = [
        line(kind, (_x(interval.low), _x(interval.high)), (middle, middle))
        for kind, interval, thin in zip(
            ("article", "question"), (figure.article_interval, figure.interval), reversed(figure.thin), strict=True
        )
        if interval is not None and not thin and math.isfinite(interval.low) and math.isfinite(interval.high)
    ]
    text = words("value", LABEL + PLOT + 8, middle + 4, number(value))
    title = Markup("<title>{}</title>").format(f"{language.name}: {describe(figure)}")
    return Markup("<g>{}</g>").format(Markup("").join([title, name, bar, *intervals, text]))


def describe(figure: Figure, level: str = "95%") -> str:
    """The figure and its intervals in words."""
    text = number(figure.value)
    names, intervals = ("questions", "articles"), (figure.interval, figure.article_interval)
    for name, interval, thin in zip(names, intervals, figure.thin, strict=True):
        if thin:
            text += f", carried by fewer than {FEW} {name}"
        elif interval is not None:
            text += f", {level} interval over {name} {number(interval.low)} to {number(interval.high)}"
    return text


# Pages from templates: everything escaped, everything inlined, and a policy that allows nothing else.

INSTALL = "pip install 'xqr-bench[site]'"
_INVALID = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_EXPORT = re.compile(r"\bexport\s*\{([^{}]*)\}[ ;]*")


def asset(name: str) -> str:
    """A style sheet or script of this package."""
    return (files("xqr_bench.board.site") / "assets" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def datatables() -> str:
    """DataTables with jQuery, as the installed package itables bundles them, for an inline module.

    A page from disk may not import a module file, so the bundle's one export statement, `export{a as jQuery}`,
    becomes an assignment to `globalThis.datatables`.

    Raises:
        XqrBenchError: itables is not installed, or its bundle has another form.
    """
    spec = find_spec("itables")
    if spec is None or not spec.submodule_search_locations:
        raise XqrBenchError("the site needs the package itables", remedy=INSTALL)
    path = Path(next(iter(spec.submodule_search_locations))) / "html" / "dt_bundle.js"
    source = path.read_text(encoding="utf-8").replace("\r\n", "\n").strip() if path.is_file() else ""
    exports = list(_EXPORT.finditer(source))
    local = re.search(r"([\w$]+)\s+as\s+jQuery\b", exports[0][1]) if len(exports) == 1 else None
    if local is None or "</script" in source.lower():
        raise XqrBenchError(
            "the DataTables bundle of the installed itables is not in the form this site knows", remedy=INSTALL
        )
    start, end = exports[0].span()
    bundle = f"{source[:start]}globalThis.datatables={{jQuery:{local[1]}}};{source[end:]}\n"
    # in a string or regular expression these mean the same; as they stand, a page may not hold them
    return _INVALID.sub(lambda character: f"\\u{ord(character[0]):04x}", bundle).replace("<!--", "<\\!--")


@cache
def environment() -> Environment:
    """Templates that escape whatever is put into them, and let no text turn a line around.

    Raises:
        XqrBenchError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise XqrBenchError("the site needs the package jinja2", remedy=INSTALL) from error
    made = Environment(
        loader=PackageLoader("xqr_bench.board.site"),
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number,
        count=lambda value: f"{value:,}",
        p_value=p_value,
        metric_label=metric_label,
        group_label=group_label,
        safe_url=safe_url,
        shell=shlex.quote,
    )
    made.globals.update(
        describe=describe,
        setting_labels=SETTING_LABELS,
        relevance_labels=RELEVANCE_LABELS,
        setting_meanings=SETTING_MEANINGS,
        status_meanings=STATUS_MEANINGS,
        caption=CAPTION,
        proved=PROVED,
        declared=DECLARED,
        signed_by=signed_by,
        mark=MARK,
        mark_meaning=MARK_MEANING,
        kind_meanings=KIND_MEANINGS,
    )
    return made


def policies(style: str, script: str, *, loads: bool = False) -> list[str]:
    """Content-Security-Policies: this style sheet, this script, embedded images, and nothing else.

    A page that loads files allows, by the first policy, what its script adds and no element of its markup; by the
    second, files of the site alone (`file:` is the site on a disk: to Firefox such a page is of no site).
    """
    this = f"'{_digest(script)}'" if script else "'none'"
    scripts = f"{this} 'strict-dynamic'" if loads else this
    first = (
        f"default-src 'none'; script-src {scripts}; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return [first, f"script-src {this} 'self' file:"] if loads else [first]


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")


def render(template: str, *, script: str = "", loads: bool = False, **context: Any) -> str:
    """A whole page.

    Args:
        template: name in `templates/`.
        script: put at the end of the page, as an inline module.
        loads: whether it loads files of the site.
        context: what the template needs.
    """
    style = asset("site.css")
    page = environment().get_template(template)
    rules = policies(style, script, loads=loads)
    written = page.render(style=Markup(style), script=Markup(script), policies=rules, **context)
    # a lone surrogate of a hostile name cannot be written as UTF-8
    return written.encode("utf-8", "replace").decode("utf-8")
