"""Paragraphs cut into sentences by a library, where the data has none and the task file says so.

sentencex (Wikimedia, MIT) knows some 300 languages and gives offsets into the text as it is; docs/tasks.md says how its
sentences compare with those of XQuAD-R. The cuts depend on its version, which the record names.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, metadata

from xqr_bench.core.errors import UsageError
from xqr_bench.core.languages import same_language

SEGMENTERS = ("sentencex",)


def segmenter(name: str, language: str) -> Callable[[str], list[tuple[int, int]]]:
    """A function from a text to its sentences, `[begin, end)` in Unicode characters, without white space around them.

    Args:
        name: one of SEGMENTERS.
        language: code of the texts' language.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        boundaries = import_module(name).get_sentence_boundaries
    except ImportError:
        raise UsageError(
            f"the task cuts its paragraphs into sentences with {name}, which is not installed",
            remedy="pip install 'xqr-bench[segment]'",
        ) from None
    code = same_language(language).split("-")[0]

    def cut(text: str) -> list[tuple[int, int]]:
        spans = []
        for found in boundaries(code, text):
            begin, end = found["start_index"], found["end_index"]
            sentence = text[begin:end]
            if sentence.strip():
                spans.append((begin + len(sentence) - len(sentence.lstrip()), begin + len(sentence.rstrip())))
        return spans

    return cut


def segmenter_version(name: str) -> str:
    """The segmenter and its version, as the record has them."""
    return f"{name} {metadata.version(name)}"
