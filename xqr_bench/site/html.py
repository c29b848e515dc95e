"""Pages from templates: everything escaped, everything inlined, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from xqr_bench.errors import XqrBenchError
from xqr_bench.site import text
from xqr_bench.site.charts import describe
from xqr_bench.site.names import safe_url

if TYPE_CHECKING:
    from jinja2 import Environment

INSTALL = "pip install 'xqr-bench[site]'"
_INVALID = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_EXPORT = re.compile(r"\bexport\s*\{([^{}]*)\}[ ;]*")


def asset(name: str) -> str:
    """A style sheet or script of this package."""
    return (files("xqr_bench.site") / "assets" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


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
    return _INVALID.sub(lambda found: f"\\u{ord(found[0]):04x}", bundle).replace("<!--", "<\\!--")


@cache
def environment() -> Environment:
    """Templates that escape whatever is put into them.

    Raises:
        XqrBenchError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise XqrBenchError("the site needs the package jinja2", remedy=INSTALL) from error
    made = Environment(
        loader=PackageLoader("xqr_bench.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=text.number,
        count=lambda value: f"{value:,}",
        p_value=text.p_value,
        metric_label=text.metric_label,
        group_label=text.group_label,
        safe_url=safe_url,
        shell=shlex.quote,
    )
    made.globals.update(
        describe=describe,
        setting_labels=text.SETTING_LABELS,
        relevance_labels=text.RELEVANCE_LABELS,
        setting_meanings=text.SETTING_MEANINGS,
        status_meanings=text.STATUS_MEANINGS,
        mark=text.MARK,
        mark_meaning=text.MARK_MEANING,
        kind_meanings=text.KIND_MEANINGS,
    )
    return made


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style sheet, this script, embedded images, and nothing else."""
    scripts = f"'{_digest(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")


def render(template: str, *, script: str = "", **context: Any) -> str:
    """A whole page.

    Args:
        template: name in `templates/`.
        script: put at the end of the page, as an inline module.
        context: what the template needs.
    """
    style = asset("site.css")
    page = environment().get_template(template)
    written = page.render(
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
        **context,
    )
    # a lone surrogate of a hostile name cannot be written as UTF-8
    return written.encode("utf-8", "replace").decode("utf-8")
