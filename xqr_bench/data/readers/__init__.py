"""Readers of source formats: a format is one module in this folder that registers its reader in `READERS`."""

from importlib import import_module
from pkgutil import iter_modules

from xqr_bench.data.readers.base import READERS, LanguageData, Question, Reader, Sentence

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["READERS", "LanguageData", "Question", "Reader", "Sentence"]
