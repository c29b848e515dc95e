"""Functions of scipy.special, without the Python around them: it takes ten times as long to import as they do."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import scipy

_PACKAGE = "scipy.special"


def _compiled() -> Any:
    """The module of compiled functions; the whole package where that is loaded anyway, or has no such module."""
    if _PACKAGE in sys.modules:
        return sys.modules[_PACKAGE]
    # while it is imported an empty package stands in for the real one, which whoever asks for it gets afterwards
    empty = ModuleType(_PACKAGE)
    empty.__path__ = [f"{folder}/special" for folder in scipy.__path__]
    sys.modules[_PACKAGE] = empty
    try:
        return import_module(f"{_PACKAGE}._ufuncs")
    except ImportError:
        del sys.modules[_PACKAGE]
        return import_module(_PACKAGE)
    finally:
        if sys.modules.get(_PACKAGE) is empty:
            del sys.modules[_PACKAGE]


_functions = _compiled()
digamma = _functions.psi
gammaincinv = _functions.gammaincinv
ndtr, ndtri = _functions.ndtr, _functions.ndtri
stdtr, stdtrit = _functions.stdtr, _functions.stdtrit
