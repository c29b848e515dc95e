"""Encoders written in Python, `package.module:Object` or `path/file.py:Object`: found, made, looked over, and bound."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from warnings import catch_warnings, simplefilter

import numpy as np

from xqr_bench.core.errors import EncoderError, UsageError, closest, code_of_others, folder_of_others
from xqr_bench.core.files import digest_of_files
from xqr_bench.encode.bound import DEFAULT_ROWS, Limits, TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.conventions import Methods, has_methods, takes_pairs, takes_texts
from xqr_bench.encode.kinds import class_of
from xqr_bench.encode.options import (
    SIMILARITIES,
    EncoderKindName,
    EncoderOptions,
    ModelIdentity,
    Role,
    Similarity,
)
from xqr_bench.encode.precomputed import PREFIX

_OBJECT = re.compile(r"(?P<where>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")

RANKED = ("run:", "scores:", "fuse:")
"""How a MODEL begins that is a ranking, without vectors."""


def is_python_spec(spec: str) -> bool:
    """Whether `spec` has the form `package.module:Object` or `path/file.py:Object`, and names nothing else."""
    return _OBJECT.fullmatch(spec) is not None and not spec.startswith((PREFIX, *RANKED))


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
        raise EncoderError(
            f"{where} has no {name!r}",
            found=closest(name, public) or f"it has: {', '.join(public) or 'nothing public'}",
            remedy="name an encoder, a class, or a function without arguments that returns one",
        )
    return getattr(module, name), module


def _import_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with code_of_others(f"importing {name} failed", "mend it there"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise
            close = closest(name, [path.stem for path in Path.cwd().glob("*.py")])
            raise EncoderError(
                f"there is no Python module {name!r}",
                found=f"{error.name!r} is neither in the current folder nor installed"
                + (f"; {close}" if close else ""),
                remedy="run where the module is, install its package, or name the file: path/to/file.py:Object",
            ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise EncoderError(
            f"there is no file {path}",
            found=closest(path.name, [other.name for other in path.parent.glob("*.py") if other.is_file()]),
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
        with code_of_others(f"importing {path} failed", "mend it there"):
            spec.loader.exec_module(module)
    except EncoderError:
        del sys.modules[name]
        raise
    return module


OPTIONS = frozenset({"name", "similarity", "batch_size", "truncate_dim", "query_prompt", "candidate_prompt"})
ARGUMENTS = frozenset({"encoder_arg"})
"""Options of code that the user names, beside those of any Python encoder."""


def instantiate(thing: Any, what: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """`thing` itself when it can encode, else what the class or factory returns when it is called.

    Args:
        thing: an encoder, a class, a function that returns an encoder, or one of a list of texts.
        what: what the user called it.
        arguments: for the class or the function that returns an encoder.

    Raises:
        EncoderError: it cannot be looked at, or calling it failed.
        UsageError: it is an encoder itself, and arguments are given.
    """
    arguments = arguments or {}
    with code_of_others(f"{what} cannot be asked whether it encodes", "mend it there"):
        encodes = class_of(thing) is not None or has_methods(thing)
        taken = not arguments and (takes_texts(thing) or takes_pairs(thing))
    if not callable(thing) or (not isinstance(thing, type) and (encodes or taken)):
        if arguments:
            raise UsageError(
                f"--encoder-arg is given, and {what} is an encoder itself, which is not called to make one",
                remedy="name its class, or a function that takes the arguments and returns it; or leave the option out",
            )
        return thing  # where it has no method that encodes, bind_object says what is missing
    if arguments:
        called, remedy = f"with {', '.join(arguments)}", "give it the arguments that it needs, by their names"
    else:
        called, remedy = "without arguments", "name an encoder, or a class or function that needs no arguments"
        remedy += "; --encoder-arg KEY=VALUE gives it one"
    with code_of_others(f"{what} was called {called}, as a class or factory is, and failed", remedy):
        return thing(**arguments)


_FUNCTIONS: dict[str, str] = {
    "cos_sim": "cosine",
    "dot_score": "dot",
    "euclidean_sim": "euclidean",
    "manhattan_sim": "manhattan",
}
"""Functions of sentence-transformers that compare vectors, and the names it has for them."""


def similarity_of(thing: object) -> object:
    """What an encoder declares of its similarity, by name; None: nothing.

    `similarity` may be a method, as that of a SentenceTransformer is; `similarity_fn_name` names it then, or what it
    computes does.
    """
    declared = getattr(thing, "similarity", None)
    if declared is not None and not callable(declared):
        return declared
    named = getattr(thing, "similarity_fn_name", None)
    if named is None and declared is not None:
        function = getattr(declared, "__name__", type(declared).__name__)
        return _FUNCTIONS.get(function) or _computed(declared) or f"of a method {function}()"
    return named


def _computed(similarity: Callable[..., Any]) -> Similarity | None:
    """What a method computes of vectors drawn at random, all pairs at once or one by one; None: something else."""
    draw = np.random.default_rng(0).normal
    a, b = (draw(size=(rows, 16)).astype(np.float32) for rows in (5, 7))
    dot = a @ b.T
    known = {"dot": dot, "cosine": dot / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)}
    forms: list[Callable[[], Any]] = [
        lambda: similarity(a, b),
        lambda: [[similarity(one.tolist(), other.tolist()) for other in b] for one in a],
    ]
    if (torch := sys.modules.get("torch")) is not None:
        forms.append(lambda: similarity(torch.from_numpy(a), torch.from_numpy(b)))
    for form in forms:
        with suppress(Exception), folder_of_others(), catch_warnings():  # it takes them in another form
            simplefilter("ignore")
            values = np.asarray(form(), dtype=np.float64)
            for name in SIMILARITIES:
                if values.shape == dot.shape and np.allclose(values, known[name], rtol=1e-4, atol=1e-5):
                    return name
    return None


def declared_similarity(value: object, override: Similarity | None, who: str) -> Similarity:
    """The similarity to rank by: the option's, else the declared one, else cosine.

    Raises:
        EncoderError: the declared one has no matrix product.
    """
    if override is not None:
        return override
    declared = "cosine" if value is None else str(getattr(value, "value", value))
    for similarity in SIMILARITIES:
        if declared == similarity:
            return similarity
    raise EncoderError(
        f"{who} declares the similarity {declared!r}; a similarity without a matrix product cannot be ranked here",
        found=f"this bench ranks by {' or '.join(SIMILARITIES)}",
        remedy="say how its vectors are ranked, if that makes sense for it: --similarity cosine, or dot",
    )


class ObjectEncoder(TextEncoder):
    """An encoder written in Python (see Encoder); `close()` closes it where it is `owned`."""

    def __init__(self, thing: Any, identity: ModelIdentity, *, name: str, device: str | None, owned: bool) -> None:
        super().__init__(identity, name=name, device=device)
        self._methods = Methods(thing, identity.name, self.warn)
        self._truncated = getattr(thing, "truncated", None)
        self._close = getattr(thing, "close", None) if owned else None
        self.symmetric = self._methods.symmetric and self.prompt("query") == self.prompt("candidate")
        self.keep, self.called = bool(getattr(thing, "keep_vectors", True)), self._methods.called
        self.sparse = getattr(thing, "sparse", None) is True

    def call(self, role: Role, texts: list[str]) -> Any:
        """See TextEncoder."""
        with folder_of_others():
            return self._methods.call(role, self._prompted(role, texts), as_rows=not self.sparse)

    def matrix(self, returned: Any, rows: int) -> Vectors:
        """See BoundEncoder.

        Raises:
            EncoderError: it declares that its vectors are sparse, too.
        """
        if self.sparse:
            raise EncoderError(
                f"{self.name} declares sparse = True: it has no dense vectors",
                remedy="evaluate ranks by its sparse ones; where dense ones are wanted leave `sparse` out",
            )
        return super().matrix(returned, rows)

    def truncated(self, role: Role, texts: list[str]) -> Sequence[bool] | None:
        """What its own `truncated` says of the texts with their prompt, if it has one."""
        if not callable(self._truncated):
            return None
        with folder_of_others():
            return cast("Sequence[bool]", self._methods.settled(self._truncated(self._prompted(role, texts))))

    def _prompted(self, role: Role, texts: list[str]) -> list[str]:
        return [self.prompt(role) + text for text in texts]

    def close(self) -> None:
        """Call the encoder's own `close()`, if it has one."""
        if self._close is not None:
            with code_of_others(f"close() of the encoder {self.name} failed", "mend it there, or leave it out"):
                self._methods.settled(self._close())
        self._methods.close()


def bind_object(
    thing: Any,
    options: EncoderOptions,
    *,
    kind: EncoderKindName = "python",
    what: str | None = None,
    module: ModuleType | None = None,
    distribution: str | None = None,
    owned: bool = True,
) -> TextEncoder:
    """Bind an encoder instance.

    Args:
        thing: has `encode`, or a method for queries and one for candidates (see Encoder and `conventions.py`), or is a
            function of a list of texts.
        options: see EncoderOptions.
        kind: where it comes from.
        what: what the user called it, for the identity and messages (default: its class).
        module: the module it was in, part of the source digest beside the module of its class.
        distribution: the installed package that brings it.
        owned: whether `close()` of what is returned closes it.

    Raises:
        EncoderError: it cannot encode, or declares a similarity without a matrix product.
        UsageError: an option that has no meaning here.
    """
    what, name = names_of(thing, what, kind)
    options.refuse_all_but(f"a Python encoder ({what})", OPTIONS | ARGUMENTS if kind == "python" else OPTIONS)
    name = options.name or name
    digest = source_digest(thing, module)
    revision, device = (getattr(thing, attribute, None) for attribute in ("revision", "device"))
    identity = ModelIdentity(
        kind=kind,
        name=what,
        revision=None if revision is None else str(revision),
        digest=digest,
        distribution=distribution,
        query_prompt=options.query_prompt or None,
        candidate_prompt=options.candidate_prompt or None,
        truncate_dim=options.truncate_dim,
        similarity=declared_similarity(similarity_of(thing), options.similarity, name),
        model_kwargs=dict(options.encoder_arg),
    )
    bound = ObjectEncoder(thing, identity, name=name, device=None if device is None else str(device), owned=owned)
    bound.limits = Limits(options.batch_size or DEFAULT_ROWS)
    named_similarity = getattr(thing, "similarity_fn_name", None)
    if options.similarity is None and named_similarity is None and callable(getattr(thing, "similarity", None)):
        bound.warn(f"its method similarity() computes {identity.similarity} of vectors drawn at random: ranked by that")
    if not digest:
        bound.warn(f"the source of {name} cannot be found: its record cannot say which code made the vectors")
    return bound


def names_of(thing: Any, what: str | None, kind: EncoderKindName = "python") -> tuple[str, str]:
    """What an object is called where it is found, and in records: by itself, by its class, or as a function is."""
    named = thing if isinstance(getattr(thing, "__name__", None), str) else type(thing)
    what = what or str(named.__qualname__)
    declared = getattr(thing, "name", None)
    if isinstance(declared, str) and declared:
        return what, declared
    return what, str(named.__name__) if kind == "python" else what


def source_digest(thing: Any, module: ModuleType | None = None) -> str | None:
    """SHA-256 over the source files of `module` and of the module of the object's class; None when there are none.

    The encoder's own imports are not followed: a revision it declares can say more.
    """
    own = thing.__module__ if inspect.isroutine(thing) else type(thing).__module__
    modules = (module, sys.modules.get(own))
    sources = [getattr(m, "__file__", None) for m in modules]
    files = {Path(source).resolve() for source in sources if source is not None}
    present = [(path.name, path) for path in files if path.is_file()]
    return digest_of_files(present) if present else None
