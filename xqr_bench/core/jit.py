"""Compilation of the few inner loops, cached on disk where there is a folder for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

import numba
import numba.np.linalg

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*, parallel: bool = False) -> Callable[[F], F]:
    """Return a decorator that compiles a function with numba, without the interpreter lock."""

    def compile_(function: F) -> F:
        with suppress(RuntimeError):  # numba finds no folder it may cache in: compile anew in each process
            made: F = numba.njit(cache=True, parallel=parallel, nogil=True)(function)
            return made
        made = numba.njit(parallel=parallel, nogil=True)(function)
        return made

    return compile_


def _import_without_scipy() -> None:
    """Import what numba imports before it runs anything, but not scipy.linalg, which it only looks whether it is there.

    It is, as scipy is installed with this package; a loop of whosoever that multiplies matrices imports it then.
    """
    ensure = numba.np.linalg.ensure_blas
    numba.np.linalg.ensure_blas = lambda: None
    try:
        import_module("numba.np.arraymath")
    finally:
        numba.np.linalg.ensure_blas = ensure


with suppress(ImportError, AttributeError):  # another version of numba may have other modules
    _import_without_scipy()
