"""How much of a task an encoder may have seen before: the levels, and what a record says of it."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["evaluation text", "same source", "language only", "none declared", "unknown"]
LEVELS: tuple[Level, ...] = get_args(Level)
EVALUATION_TEXT, SAME_SOURCE, LANGUAGE_ONLY, NONE_DECLARED, UNKNOWN = LEVELS
MEANING: dict[Level, str] = {
    EVALUATION_TEXT: "trained on questions, sentences or paragraphs of the task, in any language",
    SAME_SOURCE: "trained on data of the task's kind and source (SQuAD, questions over Wikipedia), not on its texts",
    LANGUAGE_ONLY: "trained on the task's languages, on nothing of its kind or source",
    NONE_DECLARED: "the submitter knows all of its training, if it had any, and declares none of the above",
    UNKNOWN: "nothing is declared, or it cannot be known",
}
