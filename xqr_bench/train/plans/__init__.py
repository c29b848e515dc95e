"""Batch strategies: one file each. A file in this folder that registers one is all it takes."""

from importlib import import_module
from pkgutil import iter_modules

from xqr_bench.train.plans.base import STRATEGIES, Arguments, LanguageDraws, Strategy, strategy

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["STRATEGIES", "Arguments", "LanguageDraws", "Strategy", "strategy"]
