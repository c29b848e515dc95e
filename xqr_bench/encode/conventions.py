"""How encoders are called: the methods that libraries give them, told apart by their names, and what these return."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.memory import free_memory
from xqr_bench.encode.options import ROLES, Role


@dataclass(frozen=True)
class Convention:
    """Names of methods that belong together.

    Attributes:
        name: whose they are.
        query, candidate: of each the first that is there is called.
        one_query: whether the query's method takes one text and returns one row.
    """

    name: str
    query: tuple[str, ...]
    candidate: tuple[str, ...]
    one_query: bool = False

    def methods(self, thing: object) -> dict[Role, str] | None:
        """The method of each role; None: `thing` lacks one."""
        there = {
            role: next((name for name in names if _has(thing, name)), None)
            for role, names in zip(ROLES, (self.query, self.candidate), strict=True)
        }
        return {role: name for role, name in there.items() if name} if all(there.values()) else None


OURS = Convention(
    "encode",
    ("encode_queries", "encode_query", "encode"),
    ("encode_candidates", "encode_document", "encode_corpus", "encode"),
)
_MIXED = {("encode_queries", "encode_document"), ("encode_query", "encode_candidates")}
FUNCTION = Convention("a function", ("__call__",), ("__call__",))
CONVENTIONS = (
    OURS,
    Convention("LangChain", ("embed_query",), ("embed_documents",), one_query=True),
    Convention("LlamaIndex", ("get_query_embedding",), ("get_text_embedding_batch",), one_query=True),
    Convention("FastEmbed", ("query_embed", "embed"), ("passage_embed", "embed")),
    Convention("scikit-learn", ("transform",), ("transform",)),
    FUNCTION,
)
"""In the order in which they are looked for."""


def has_methods(thing: object) -> bool:
    """Whether `thing` has a method of a convention, or `score`; that it can be called itself does not count."""
    names = [name for one in CONVENTIONS if one is not FUNCTION for name in (*one.query, *one.candidate)]
    return any(_has(thing, name) for name in (*names, "score"))


def _has(thing: object, name: str) -> bool:
    if name == "__call__":
        return callable(thing) and not isinstance(thing, type)
    return callable(getattr(thing, name, None))


def takes_texts(thing: object) -> bool:
    """Whether `thing` is a function of a list of texts, and of nothing else that has to be given.

    What can be called without arguments is none: it is taken to make an encoder.
    """
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # no function, or compiled code
        return False
    return not _binds(signature) and _binds(signature, [])


def _binds(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def scorer_of(thing: Any) -> Callable[..., Any] | None:
    """What scores queries against candidates: `score` of an object that has nothing else, or a function of both.

    None: it encodes (whatever else it has), or does neither.

    Raises:
        EncoderError: `score` cannot be called with two lists of texts.
    """
    if any(one.methods(thing) for one in CONVENTIONS if one is not FUNCTION):
        return None
    if _has(thing, "score") and not isinstance(thing, type):
        method: Callable[..., Any] = thing.score
        _refuse_other_arguments(method, "score", "queries and candidates", [], [])
        return method
    return thing if takes_pairs(thing) else None


def takes_pairs(thing: object) -> bool:
    """Whether `thing` is a function of queries and candidates, and of nothing else that has to be given."""
    return _has(thing, "__call__") and _needs_two(thing)


def _needs_two(method: Any) -> bool:
    """Whether two arguments can be given, and not fewer: `score(X, y=None)`, as scikit-learn has it, is another."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # of compiled code
        return False
    return _binds(signature, [], []) and not _binds(signature, []) and not _binds(signature)


class Waiting:
    """Waits for what async methods return, always in the same event loop: connections kept open belong to it."""

    _runner: asyncio.Runner | None = None

    def settled(self, returned: Any) -> Any:
        """What an async method or generator comes to; anything else unchanged."""
        if not isinstance(returned, AsyncIterator | Awaitable):
            return returned
        if self._runner is None:
            self._runner = asyncio.Runner()
        work = _all(returned) if isinstance(returned, AsyncIterator) else _awaited(returned)
        return _outside_of_a_loop(self._runner.run, work)

    def close(self) -> None:
        """Close the event loop, if one was needed."""
        if self._runner is not None:
            _outside_of_a_loop(self._runner.close)
            self._runner = None


class Methods(Waiting):
    """The methods of an encoder that are called, and how.

    Args:
        thing: the encoder.
        what: its name, for messages.
        tell: hears what a user should know of the choice, and of what the methods return.

    Attributes:
        symmetric: whether one method encodes queries and candidates.
        called: the name of each role's method.

    Raises:
        EncoderError: it cannot encode, or a method needs more than texts.
    """

    def __init__(self, thing: Any, what: str, tell: Callable[[str], None]) -> None:
        complete = {one: names for one in CONVENTIONS if (names := one.methods(thing)) is not None}
        if not complete:
            raise _no_methods(thing, what)
        self._convention, names = next(iter(complete.items()))
        self._of_function = self._convention is FUNCTION
        self._methods = {role: thing if self._of_function else getattr(thing, name) for role, name in names.items()}
        for role, method in self._methods.items():
            called = what if self._of_function else f"{what}.{names[role]}"
            texts = "one text" if self._takes_one(role) else "a list of texts"
            _refuse_other_arguments(method, called, texts, [])
        self._as_documents = names["candidate"] == "encode_corpus" and not _of_texts(self._methods["candidate"])
        self.symmetric, self.called = names["query"] == names["candidate"], names
        self._tell = tell
        self._scores = _has(thing, "score") and _needs_two(thing.score)
        told = self._told(names["query"], names["candidate"], [one.name for one in complete if one is not FUNCTION])
        if told:
            tell(told)

    def call(self, role: Role, texts: list[str], *, as_rows: bool = True) -> Any:
        """What the method of a role returns for texts, as rows, or as it is."""
        method = self._methods[role]
        if self._takes_one(role):
            return [rows_of(self.settled(method(text)), self._tell) for text in texts]
        as_documents = self._as_documents and role == "candidate"
        given = [{"title": "", "text": text} for text in texts] if as_documents else texts
        returned = self.settled(method(given))
        return rows_of(returned, self._tell) if as_rows else returned

    def _takes_one(self, role: Role) -> bool:
        return self._convention.one_query and role == "query"

    def _told(self, query: str, candidate: str, complete: list[str]) -> str:
        parts = []
        if self._of_function:
            parts.append("read as a function from a list of texts to their rows")
        elif self._convention is not OURS:
            parts.append(f"read as {self._convention.name} has it: {query} for queries, {candidate} for candidates")
        elif candidate == "encode_corpus":
            given = "documents with title and text, as BEIR has it" if self._as_documents else "texts, as annotated"
            parts.append(f"read by {query} for queries and encode_corpus for candidates, which is given {given}")
        elif (query, candidate) in _MIXED:
            parts.append(f"read by {query} for queries and {candidate} for candidates")
        others = [name for name in complete if name != self._convention.name]
        if others:
            first = "" if parts else f"read by {query} for queries and {candidate} for candidates; "
            parts.append(f"{first}its methods of {' and '.join(others)} are not used")
        if self._scores:
            parts.append("its vectors are ranked; its method score(queries, candidates) is not used")
        return "; ".join(parts)


def _no_methods(thing: object, what: str) -> EncoderError:
    missing = [role for role in ROLES if not any(callable(getattr(thing, name, None)) for name in getattr(OURS, role))]
    role = missing[0]
    public = [name for name in dir(thing) if not name.startswith("_") and callable(getattr(thing, name, None))]
    return EncoderError(
        f"{what} cannot encode {'queries' if role == 'query' else 'candidates'}: "
        f"it has none of the methods {', '.join(getattr(OURS, role))}",
        found=f"a {type(thing).__name__} with the methods: {', '.join(public[:12]) or 'none'}",
        remedy="give it encode(texts), or encode_queries(texts) and encode_candidates(texts), or the methods of "
        "a library that docs/encoders.md lists; or score(queries, candidates), where it has no vectors",
    )


def _refuse_other_arguments(method: Callable[..., Any], what: str, texts: str, *given: object) -> None:
    """Refuse a method that cannot be called with texts alone, before anything is encoded.

    Raises:
        EncoderError: it needs other arguments too.
    """
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # of compiled code
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        own = "encode(texts)" if len(given) == 1 else "score(queries, candidates)"
        raise EncoderError(
            f"{what} cannot be called with {texts} alone",
            found=f"{what.rpartition('.')[2]}{signature}: {error}",
            remedy=f"wrap it in a class of your own, whose {own} calls it with what it needs",
        ) from error


def _of_texts(method: Callable[..., Any]) -> bool:
    """Whether `encode_corpus` is annotated to take texts, as FlagEmbedding's is, and not documents."""
    try:
        first = next(iter(inspect.signature(method).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    annotation = "" if first is None or first.annotation is first.empty else str(first.annotation)
    return "str" in annotation and not re.search("dict|mapping", annotation, re.IGNORECASE)


def _outside_of_a_loop(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what runs an event loop, in a thread of its own where we are called from a loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*arguments)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


async def _awaited(returned: Awaitable[Any]) -> Any:
    return await returned


async def _all(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


DENSE = "dense_vecs"
"""The key of the vectors in what FlagEmbedding returns."""


def rows_of(returned: Any, tell: Callable[[str], None]) -> Any:
    """What stands in place of rows, as rows: what is yielded, FlagEmbedding's dense vectors, a sparse matrix.

    Args:
        returned: by a method.
        tell: hears what a user should know of it.

    Raises:
        MemoryError: a sparse matrix does not fit when it is made dense.
    """
    if isinstance(returned, Mapping) and returned.get(DENSE) is not None:
        others = [str(key) for key, value in returned.items() if key != DENSE and value is not None]
        if others:
            tell(f"its {DENSE} are scored; {', '.join(others)}, which it returns too, are not")
        returned = returned[DENSE]
    if isinstance(returned, Iterator):
        returned = list(returned)
    if hasattr(returned, "toarray") and hasattr(returned, "nnz"):  # of scipy
        needed, free = math.prod(returned.shape) * returned.dtype.itemsize, free_memory()
        if free is not None and needed > free:
            raise MemoryError(f"a sparse matrix of shape {returned.shape} made dense has {needed:,} bytes")
        tell("its rows are sparse and made dense, which changes no number")
        returned = returned.toarray()
    return returned
