"""Compilation of the few inner loops, cached on disk where there is a folder for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba

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
