"""`package.module:Object` or `path/file.py:Object` -> the object."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from xqr_bench.errors import EncoderError

_OBJECT = re.compile(r"(?P<where>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


def is_python_spec(spec: str) -> bool:
    """Whether `spec` has the form `package.module:Object` or `path/file.py:Object`."""
    return _OBJECT.fullmatch(spec) is not None


def load_object(spec: str) -> tuple[Any, ModuleType]:
    """Import what `package.module:Object` or `path/file.py:Object` names, and return it with its module.

    The current folder is importable for the first form, the file's own folder for the second.

    Raises:
        EncoderError: there is no such module, file or object, or importing it failed.
    """
    match = _OBJECT.fullmatch(spec)
    if match is None:
        raise EncoderError(f"{spec!r} is not of the form package.module:Object or path/file.py:Object")
    where, name = match["where"], match["name"]
    module = _import_file(Path(where).expanduser()) if where.endswith(".py") else _import_module(where)
    if not hasattr(module, name):
        public = [other for other in vars(module) if not other.startswith("_")]
        close = difflib.get_close_matches(name, public, n=3, cutoff=0.5)
        raise EncoderError(
            f"{where} has no {name!r}",
            found=f"closest: {', '.join(close)}" if close else f"it has: {', '.join(public) or 'nothing public'}",
            remedy="name an encoder, a class, or a function without arguments that returns one",
        )
    return getattr(module, name), module


def _import_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise _import_failed(name, error) from error
        close = difflib.get_close_matches(name, [path.stem for path in Path.cwd().glob("*.py")], n=3, cutoff=0.5)
        raise EncoderError(
            f"there is no Python module {name!r}",
            found=f"{error.name!r} is neither in the current folder nor installed"
            + (f"; closest: {', '.join(close)}" if close else ""),
            remedy="run where the module is, install its package, or name the file: path/to/file.py:Object",
        ) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        close = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.py")], n=3)
        raise EncoderError(
            f"there is no file {path}",
            found=f"closest: {', '.join(close)}" if close else None,
            remedy="name an existing Python file: path/to/file.py:Object",
        )
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that the file's neighbours hide nothing that is installed
    name = "xqr_bench_encoder_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise EncoderError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_failed(str(path), error) from error
    return module


def _import_failed(what: str, error: Exception) -> EncoderError:
    return EncoderError(
        f"importing {what} failed",
        found=f"{type(error).__name__}: {error}",
        remedy="import it in a Python prompt to see where",
    )
