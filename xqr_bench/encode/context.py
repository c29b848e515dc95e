"""Candidates with their paragraph: what the encoder is given instead of the sentence alone."""

from __future__ import annotations

from dataclasses import replace
from string import Formatter

from xqr_bench.errors import EncoderError, UsageError
from xqr_bench.types import TaskData

CONTEXTS = ("paragraph",)
# the sentence first: where a model cuts a text off, it loses paragraph, not sentence
DEFAULT_TEMPLATE = "{sentence}\n{paragraph}"


def check_template(template: str) -> None:
    """Check that a template holds {sentence} and {paragraph}, and nothing else in braces.

    Raises:
        UsageError: it does not.
    """
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise UsageError(f"{template!r} is no template: {error}", remedy="write a brace itself as {{ or }}") from None
    named = [field for field in fields if field[0] is not None]
    names = {name for name, _, _ in named}
    if names != {"sentence", "paragraph"} or any(spec or conversion for _, spec, conversion in named):
        raise UsageError(
            f"the template {template!r} does not hold {{sentence}} and {{paragraph}}, and only these, in braces",
            remedy=f"write it as {DEFAULT_TEMPLATE!r}",
        )


def in_context(task: TaskData, template: str | None) -> TaskData:
    """The task with every candidate's text put into the template; itself when there is none.

    Ids, relevants and counting stay as they are.

    Raises:
        EncoderError: a candidate has no paragraph.
    """
    if template is None:
        return task
    bare = next((candidate.id for candidate in task.candidates if not candidate.paragraph), None)
    if bare is not None:
        raise EncoderError(
            f"the candidates of {task.name} have no paragraphs to put them in",
            found=f"none for {bare}",
            remedy="leave out --candidate-context, or give each candidate its paragraph",
        )
    return replace(
        task,
        candidates=tuple(
            replace(found, text=template.format(sentence=found.text, paragraph=found.paragraph))
            for found in task.candidates
        ),
    )
