"""Training data: one reader a format; a module of this folder that registers one is all it takes."""

from importlib import import_module
from pkgutil import iter_modules

from xqr_bench.train.data.base import FORMATS, DataReader, Entry, Item, Request, build

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

from xqr_bench.train.data.load import from_task, load_training_data  # noqa: E402
from xqr_bench.train.data.parts import article_folds, keep_articles, keep_languages, keep_questions, without_articles  # noqa: E402

__all__ = [
    "FORMATS",
    "DataReader",
    "Entry",
    "Item",
    "Request",
    "article_folds",
    "build",
    "from_task",
    "keep_articles",
    "keep_languages",
    "keep_questions",
    "load_training_data",
    "without_articles",
]
