"""Of which kind a model of sentence-transformers is: one vector a text, a sparse one, one of each token, or none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xqr_bench.core import strict_json
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode.options import EncoderKindName

KINDS: dict[str, EncoderKindName] = {
    "SentenceTransformer": "sentence-transformers",
    "SparseEncoder": "sparse-encoder",
    "MultiVectorEncoder": "multi-vector-encoder",
    "CrossEncoder": "cross-encoder",
}
"""Class of the library -> kind, as an identity has it."""
_RANK = {
    "sparse-encoder": "a text has one sparse vector",
    "multi-vector-encoder": "a text has a vector of each token",
    "cross-encoder": "it scores a pair of texts, and a text has no vector",
    "python": "it has score(queries, candidates), and no method that encodes",
}


@dataclass(frozen=True)
class OtherModel:
    """A model that gives a text something else than one dense vector.

    Attributes:
        library: the class of sentence-transformers that loads it; or what else an object is.
        where: how messages call it.
        name: the folder or hub name; "" of an object.
        hub: the `HubModel` that was found; None: a folder or an object.
        thing: the object; None: it is to be loaded.
        how: what else `bind_object` would be given of an object: `what` it is called, its `module`, if it is `owned`.
    """

    library: str
    where: str
    name: str = ""
    hub: Any = None
    thing: Any = None
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> EncoderKindName:
        """As an identity has it."""
        return KINDS.get(self.library, "python")


class OtherKindError(EncoderError):
    """Dense vectors are asked of a model of another kind, which `evaluate` ranks with by its own."""

    def __init__(self, model: OtherModel) -> None:
        self.model = model
        super().__init__(
            f"{model.where} is a {model.library}: {_RANK[model.kind]}, and no dense vectors can be taken from it",
            remedy="rank with it: xqr-bench evaluate MODEL, in Python xqr_bench.evaluate(model)",
        )


def class_of(thing: object) -> str | None:
    """The class of sentence-transformers, among `KINDS`, that an object is of; does not import the library."""
    library = sys.modules.get("sentence_transformers")
    for name in reversed(KINDS):  # in version 5 a SparseEncoder is a SentenceTransformer too
        if isinstance(thing, getattr(library, name, ())):
            return name
    return None


def class_of_saved(where: str, file: Callable[[str], str | None]) -> str:
    """The class of sentence-transformers that a saved model is of.

    What `config_sentence_transformers.json` says counts first; then the modules that `modules.json` names, since older
    versions and PyLate say nothing; then, where there are no modules, the architecture that `config.json` names. A
    plain language model with a head for masked words is dense, as the library has it: what a SparseEncoder or a
    MultiVectorEncoder makes of it has to be saved by that class.

    Args:
        where: how messages call it.
        file: the path of a file of the model by its name; None: it has no such file.

    Raises:
        EncoderError: a file cannot be read, or says what is not known here or cannot be told.
    """
    declared = _read(file("config_sentence_transformers.json"), {}).get("model_type")
    declared = {"ColBERT": "MultiVectorEncoder"}.get(declared, declared)  # PyLate
    if declared is not None and declared not in KINDS:
        raise EncoderError(
            f"{where} is a model of a kind that is not known here",
            found=f"model_type {declared!r} in config_sentence_transformers.json",
            remedy="rank with it where it was made, write TREC runs, and evaluate run:DIR (docs/interop.md)",
        )
    if declared is not None:
        return str(declared)
    modules = file("modules.json")
    if modules is not None:
        types = [str(one.get("type")) for one in _read(modules, []) if isinstance(one, dict)]
        for begin, library in _MODULES.items():
            if any(one.startswith(begin) for one in types):
                return library
        return "SentenceTransformer"
    config = _read(file("config.json"), {})
    architectures = [str(one) for one in config.get("architectures") or []]
    if "HF_ColBERT" in architectures:
        return "MultiVectorEncoder"
    if file("artifact.metadata") is not None:
        raise EncoderError(
            f"{where} has the settings of ColBERT, and not its architecture",
            found=f"artifact.metadata, and in config.json {', '.join(architectures) or 'no architecture'}",
            remedy='set "architectures": ["HF_ColBERT"] in config.json, or take artifact.metadata out',
        )
    if any(one.endswith("ForSequenceClassification") for one in architectures):
        return "CrossEncoder"
    return "SentenceTransformer"


_MODULES = {
    "sentence_transformers.sparse_encoder.": "SparseEncoder",
    "sentence_transformers.multi_vector_encoder.": "MultiVectorEncoder",
    "pylate.": "MultiVectorEncoder",
    "sentence_transformers.cross_encoder.": "CrossEncoder",
}
"""How the type of a module begins -> the class whose models have such modules."""


def _read(path: str | None, form: Any) -> Any:
    """What a JSON file holds; the empty `form`, a list or an object, where there is none.

    Raises:
        EncoderError: it cannot be read, or is of another form.
    """
    if path is None:
        return form
    try:
        there = strict_json.read(Path(path))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{path} cannot be read", found=str(error), remedy="take it from its source again"
        ) from error
    if not isinstance(there, type(form)):
        raise EncoderError(f"{path} cannot be read", found=type(there).__name__, remedy="take it from its source again")
    return there
