"""What `import xqr_bench` shows and loads."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import xqr_bench

LIGHT = "import sys, xqr_bench; dir(xqr_bench); print([n for n in ('numpy', 'pydantic', 'click') if n in sys.modules])"


def test_dir_shows_what_is_public() -> None:
    assert dir(xqr_bench) == sorted(xqr_bench.__all__)
    assert {"evaluate", "compare", "load_record", "load_task", "Record"} <= set(dir(xqr_bench))
    assert [name for name in dir(xqr_bench) if not hasattr(xqr_bench, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = xqr_bench.evalute


def test_importing_it_loads_next_to_nothing() -> None:
    assert subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", [name for name in xqr_bench.__all__ if name != "__version__"])
def test_its_docstring_is_whole(name: str) -> None:
    """Functions tell every argument, what they return and raise; methods every argument where they list some."""
    thing = getattr(xqr_bench, name)
    methods = [one for key, one in vars(thing).items() if not key.startswith("_") and inspect.isfunction(one)]
    for function in methods if isinstance(thing, type) else [thing]:
        text = inspect.getdoc(function) or ""
        assert text.partition("\n")[0].endswith((".", ":")), function
        if isinstance(thing, type) and "Args:" not in text:
            continue
        names = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
        assert [one for one in names if f"{one}:" not in text and f"{one}, " not in text] == [], function
        if not isinstance(thing, type):
            assert "Raises:" in text, function
    assert inspect.getdoc(thing)
