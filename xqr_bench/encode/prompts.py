"""Which prompts a sentence-transformers model puts before queries and candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xqr_bench.encode.options import EncoderOptions
from xqr_bench.errors import UsageError


def query_prompt(model: Any, options: EncoderOptions) -> str:
    """The prompt before each query: the option's, else the named one, else the one `encode_query` uses.

    Raises:
        UsageError: the model has no prompt of that name.
    """
    if options.query_prompt is not None:
        return options.query_prompt
    if options.prompt_name is not None:
        if options.prompt_name not in model.prompts:
            raise UsageError(
                f"the model has no prompt named {options.prompt_name!r}",
                found=f"its prompts: {', '.join(model.prompts) or 'none'}",
                remedy="give --prompt-name one of these, or write the prompt out with --query-prompt",
            )
        return model.prompts[options.prompt_name] or ""
    return _own_prompt(model, ("query",))


def candidate_prompt(model: Any, options: EncoderOptions, notes: list[str]) -> str:
    """The prompt before each candidate: the option's, else the one `encode_document` uses.

    Adds to `notes` when the model has a prompt that looks meant for candidates and is not used.
    """
    if options.candidate_prompt is not None:
        return options.candidate_prompt
    names = ("document", "passage", "corpus")
    used = _own_prompt(model, names)
    unused = [name for name in names if model.prompts.get(name) not in (None, "", used)]
    if unused:
        notes.append(
            f"the model has a prompt named {unused[0]!r} ({model.prompts[unused[0]]!r}), but sentence-transformers "
            f"puts {used!r} before candidates; --candidate-prompt changes that"
        )
    return used


def _own_prompt(model: Any, names: Sequence[str]) -> str:
    """The prompt `encode_query` or `encode_document` uses: the first of these names, else the default prompt."""
    for name in (*names, model.default_prompt_name):
        if name is not None and name in model.prompts:
            return model.prompts[name] or ""
    return ""
