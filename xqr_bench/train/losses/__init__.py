"""What a loss is, how one is found, and what it is told of each batch. A file in this folder is a loss of its name."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UnknownNameError, UsageError, code_of_others
from xqr_bench.core.registry import Registry
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.types import BATCH_TYPES, BatchType, Int32, ParallelData

if TYPE_CHECKING:
    import torch

Loss = Callable[..., Any]
"""`(model, recipe, context, *, <arguments>) -> torch.nn.Module`: a function or a class.

    model: the `SentenceTransformer` under training.
    recipe: the `Recipe`: temperature, mini_batch, ...
    context: a `LossContext`, through which the module reaches the rows of the batch it is called for.
    arguments: keyword-only parameters; annotations and defaults are what `--loss-arg name=value` is held to, by
        pydantic (`Annotated[float, Field(ge=0, le=1)]` works).

The module is called as those of sentence-transformers are: `module(sentence_features, labels)`, where
`sentence_features` has the inputs of the queries, of the passages, and of each hard negative, and labels are None. It
returns a scalar, or a dict of scalars that are added.

It may have attributes: `gradient_caching = True` where it works with `recipe.mini_batch`; `check`, called with
`(recipe, context, *, <arguments>)` before a model is loaded, which raises a `UsageError` where data, plan or
arguments do not suit it; and `identity`, called with the arguments, which gives JSON values of what they name
outside the recipe, such as the digest of a teacher: they stand in the training record, and a run that is resumed has
to have the same. One that encodes further queries has `further_queries`, which says for any batch which
(`xqr_bench.train.tokens.Further`): a budget of tokens (`recipe.tokens`) is planned with them, and refuses a loss
that encodes texts without saying so."""

LOSSES: Registry[Loss] = Registry("loss", "xqr_bench.losses")
for _module in iter_modules(__path__):  # each is imported when it is asked for: most bring torch
    if not _module.name.startswith("_"):  # what several share
        LOSSES.register_module(_module.name.replace("_", "-"), f"{__name__}.{_module.name}:loss")

Role = Literal["query", "passage"]


# What a loss is told of the batch that is computed.


class Spent(NamedTuple):
    """Tokens of texts that a model computes: without padding, and with it."""

    tokens: int
    padded: int

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(self.tokens + other.tokens, self.padded + other.padded)


@dataclass(frozen=True)
class BatchRows:
    """Rows of a batch: what they are of, and their texts; row i is row i of each of the loss's inputs.

    Arrays are int32 `[rows]`.

    Attributes:
        planned: the batches and their data.
        step: number of the batch in its plan, from 0 on.
        rows: which of its rows.
    """

    planned: PlannedTexts
    step: int
    rows: slice

    def __len__(self) -> int:
        return len(self.question)

    @property
    def batch_type(self) -> BatchType:
        """Of the whole batch: monolingual, cross-lingual or mixed."""
        return self.planned.plan.batch_type(self.step)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of all languages of the data; the language arrays index into it."""
        return self.planned.plan.languages

    @property
    def query_language(self) -> Int32:
        """Index of each query's language."""
        return self.planned.plan.query_language[self.step, self.rows]

    @property
    def passage_language(self) -> Int32:
        """Index of each passage's language."""
        return self.planned.plan.passage_language[self.step, self.rows]

    @property
    def data_set(self) -> Int32:
        """Index into `LossContext.data`."""
        return self.planned.plan.data_set[self.step, self.rows]

    @property
    def question(self) -> Int32:
        """Index of each query's question in its data set."""
        return self.planned.plan.question[self.step, self.rows]

    @property
    def passage_question(self) -> Int32:
        """Index of the question that each passage answers: `question`, unless the plan shuffles positives."""
        return self.planned.plan.passage_question[self.step, self.rows]

    @cached_property
    def question_ids(self) -> list[str]:
        """Id of each query's question."""
        data = self.planned.data
        return [data[d].ids[q] for d, q in zip(self.data_set, self.question, strict=True)]

    @cached_property
    def queries(self) -> list[str]:
        """Text of each query, without prompt."""
        numbers = self.planned.batch(self.step, self.rows)[0]
        return [self.planned.table.queries[number] for number in numbers]

    @cached_property
    def passages(self) -> list[str]:
        """Text of each passage, without prompt."""
        numbers = self.planned.batch(self.step, self.rows)[1]
        return [self.planned.table.passages[number] for number in numbers]

    def queries_in(self, language: Int32) -> list[str | None]:
        """Text of each row's question in another language, an index a row; None: the question is not in it."""
        return self._in(language, self.question, "queries")

    def passages_in(self, language: Int32) -> list[str | None]:
        """Text of each row's passage in another language, likewise."""
        return self._in(language, self.passage_question, "passages")

    def _in(self, language: Int32, question: Int32, table: Literal["queries", "passages"]) -> list[str | None]:
        found = []
        for d, q, code in zip(self.data_set, question, language, strict=True):
            part = self.planned.data[d]
            column = part.language_index.get(self.languages[code])
            found.append((getattr(part, table)[column][q] if column is not None else "") or None)
        return found


@dataclass
class LossContext:
    """Where a loss is: its data, its processes, and the rows of the batch that is computed.

    The number of a batch travels with its inputs, so `rows` is right with any number of data loader workers, in
    validation, and throughout gradient caching, whose inputs are the whole batch of this process.

    Attributes:
        data: the training data sets.
        languages: codes of all their languages.
        processes: that train together; each computes its part of a batch.
        gather: whether negatives are to be taken from all of them; only with several.
        batch_types: that the plan has.
        may_encode: whether further texts may be encoded: a budget of tokens has to be planned with them.
    """

    data: tuple[ParallelData, ...]
    languages: tuple[str, ...]
    processes: int = 1
    gather: bool = False
    batch_types: tuple[BatchType, ...] = BATCH_TYPES
    may_encode: bool = True
    extra: Spent = field(default=Spent(0, 0), init=False)
    _tokenised: Callable[[list[str], Role], dict[str, Any]] | None = field(default=None, init=False, repr=False)
    _rows: BatchRows | None = field(default=None, init=False, repr=False)

    @property
    def rows(self) -> BatchRows:
        """The rows of the batch that is computed: of this process, as the loss's inputs are.

        Raises:
            UsageError: none is.
        """
        if self._rows is None:
            raise UsageError(
                "a loss asked for the rows of its batch when none was computed",
                remedy="ask for them in its forward method",
            )
        return self._rows

    @property
    def whole_batch(self) -> BatchRows:
        """The rows of all processes, in the order of their ranks: the order in which `gathered` stacks tensors."""
        rows = self.rows
        return BatchRows(rows.planned, rows.step, slice(None))

    def gathered(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensors of all processes, stacked, with gradients; this one alone where negatives are not gathered."""
        if not self.gather:
            return tensor
        from sentence_transformers.util import all_gather_with_grad

        stacked: torch.Tensor = all_gather_with_grad(tensor)
        return stacked

    def features(self, texts: list[str], role: Role) -> dict[str, Any]:
        """Further texts as inputs of the model, with the prompt of their role, on its device; their tokens are counted.

        The training record's number of tokens holds them too, so remedies can be compared at one budget.
        """
        if not self.may_encode:
            raise UsageError(
                "the loss encodes further texts, which the budget of tokens (--tokens) was not planned with",
                remedy="give --updates, or say in the loss's attribute further_queries which (docs/losses.md)",
            )
        if self._tokenised is None:
            raise UsageError("a loss asked for further texts when no batch was computed", remedy="ask in its forward")
        return self._tokenised(texts, role)

    def begin(self, rows: BatchRows, tokenised: Callable[[list[str], Role], dict[str, Any]]) -> None:
        """Set the batch that is computed: the trainer does."""
        self._rows, self._tokenised, self.extra = rows, tokenised, Spent(0, 0)


# Which loss a training has, its arguments checked before anything is loaded.


@dataclass(frozen=True)
class ChosenLoss:
    """A loss with its arguments.

    Attributes:
        name: as registered, or `module:name` of an object.
        make: what makes its module.
        arguments: all of them, defaults among them, as JSON values.
        origin: what brings it: "built in", an installed distribution, or "object".
    """

    name: str
    make: Loss = field(repr=False)
    arguments: Mapping[str, Any]
    origin: str

    def identity(self) -> dict[str, Any]:
        """What stands in the training record beside name and arguments: the origin, and what the arguments name."""
        named = getattr(self.make, "identity", None)
        about: dict[str, Any] = {"origin": self.origin}
        if named is not None:
            with code_of_others(f"the loss {self.name} cannot say what its arguments name", "correct its arguments"):
                about |= json.loads(json.dumps(named(**self.arguments)))
        return about

    def check(self, recipe: Any, context: LossContext) -> None:
        """Refuse what it can tell before a model is loaded.

        Raises:
            EncoderError: its code raised something.
            UsageError: data, plan or arguments do not suit it.
        """
        check = getattr(self.make, "check", None)
        if check is not None:
            with code_of_others(f"the loss {self.name} cannot be checked", "correct it or its arguments"):
                check(recipe, context, **self.arguments)

    def build(self, model: Any, recipe: Any, context: LossContext) -> Any:
        """Its module.

        Raises:
            EncoderError: its code raised something.
            UsageError: it made something else, or data, plan or arguments do not suit it.
        """
        from torch import nn

        self.check(recipe, context)
        with code_of_others(f"the loss {self.name} cannot be made", "correct it or its arguments"):
            made = self.make(model, recipe, context, **self.arguments)
        if not isinstance(made, nn.Module):
            raise UsageError(
                f"the loss {self.name} made a {type(made).__name__}, which is no torch.nn.Module",
                remedy="return a module that is called with (sentence_features, labels)",
            )
        return made


def choose_loss(loss: str | Loss, given: Mapping[str, Any], mini_batch: int = 0) -> ChosenLoss:
    """The loss of this name, or this object, with these arguments.

    Raises:
        UnknownNameError: there is no loss or argument of this name.
        UsageError: a value that cannot be meant, an object that is no loss, or gradient caching it does not do.
    """
    if isinstance(loss, str):
        name, make, origin = loss, LOSSES.get(loss), LOSSES.origins()[loss]
    elif callable(loss):
        module, qualified = (getattr(loss, part, None) for part in ("__module__", "__qualname__"))
        name, make, origin = f"{module}:{qualified or type(loss).__qualname__}", loss, "object"
    else:
        raise UsageError(f"a {type(loss).__name__} is no loss", remedy="give a name, or a callable (docs/losses.md)")
    arguments = _arguments(name, make, given)
    if mini_batch and not getattr(make, "gradient_caching", False):
        raise UsageError(
            f"the loss {name} does not work with gradient caching (--mini-batch {mini_batch})",
            remedy="leave --mini-batch out, or use the loss infonce",
        )
    return ChosenLoss(name, make, arguments, origin)


def told(arguments: Mapping[str, Any]) -> str:
    """The arguments in a sentence: `, weight 0.5, teacher "model"`."""
    return "".join(f", {name} {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())


def parameters(make: Loss) -> dict[str, inspect.Parameter]:
    """Name -> parameter of each argument of a loss, annotations evaluated.

    Raises:
        UsageError: it does not take (model, recipe, context).
    """
    remedy = "write it as (model, recipe, context, *, <arguments>) -> torch.nn.Module"
    try:
        signature = inspect.signature(make)
        signature.bind_partial(None, None, None)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{make!r:.80} is no loss: {error}", remedy=remedy) from None
    function: Any = inspect.unwrap(make)
    function = function.__init__ if isinstance(make, type) else function
    names = getattr(function, "__globals__", {})
    found = {}
    for name, one in signature.parameters.items():
        if one.kind is one.KEYWORD_ONLY:
            hint = eval(one.annotation, names) if isinstance(one.annotation, str) else one.annotation
            found[name] = one.replace(annotation=Any if hint is one.empty else hint)
    return found


def _arguments(name: str, make: Loss, given: Mapping[str, Any]) -> dict[str, Any]:
    with code_of_others(f"the arguments of the loss {name} cannot be read", "correct their annotations"):
        known = parameters(make)
    for one in given:
        if one not in known:
            raise UnknownNameError(f"argument of the loss {name}", one, known)
    fields: dict[str, Any] = {
        key: (one.annotation, ... if one.default is one.empty else one.default) for key, one in known.items()
    }
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    form: type[BaseModel] = create_model("Arguments", __config__=config, **fields)
    try:
        return strict_json.validate(form, dict(given)).model_dump(mode="json")
    except (ValidationError, TypeError, ValueError) as error:
        fault = strict_json.first_fault(error) if isinstance(error, ValidationError) else error
        raise UsageError(
            f"the arguments of the loss {name} cannot be used: {fault}",
            remedy=f"it takes: {', '.join(map(_written, known.values())) or 'none'}",
        ) from None


def _written(one: inspect.Parameter) -> str:
    return one.name if one.default is one.empty else f"{one.name} ({one.default!r} unless given)"


__all__ = ["LOSSES", "BatchRows", "ChosenLoss", "Loss", "LossContext", "choose_loss", "parameters", "told"]
