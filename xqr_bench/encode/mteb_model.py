"""Models of mteb's registry, `mteb:ORG/MODEL`, and any object of mteb's protocol: called as mteb calls them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from xqr_bench.core.errors import EncoderError, UsageError, closest, code_of_others, folder_of_others
from xqr_bench.core.types import IntArray
from xqr_bench.encode.bound import DEFAULT_ROWS, DeclaredTraining, Limits, TextEncoder
from xqr_bench.encode.hardware import choose_device
from xqr_bench.encode.kinds import class_of
from xqr_bench.encode.options import ROLES, EncoderOptions, ModelIdentity, Role
from xqr_bench.encode.python_object import declared_similarity, similarity_of, source_digest
from xqr_bench.encode.sentence_transformer import ModelEncoder
from xqr_bench.tasks.mteb import SPLIT, any_task, library_version, the_library

PREFIX = "mteb:"
BATCH = 32
"""What mteb has a model encode together where nothing is asked for."""
_OF_ALL = frozenset({"name", "similarity", "batch_size", "truncate_dim"})
OPTIONS = _OF_ALL | {"revision", "device", "model_kwargs", "trust_remote_code"}
OPTIONS_OF_OBJECT = _OF_ALL | {"encoder_arg"}
_OTHER_MODELS = {
    "cross-encoder": "scores pairs of texts and has no vectors",
    "late-interaction": "has several vectors a text (MaxSim)",
    "hybrid": "searches, and has no vectors",
    "router": "searches, and has no vectors",
}
"""Types of model in mteb that have no vector a text."""
_IN_MTEB = (
    "score it in mteb, and its predictions here: mteb.evaluate(model, mteb_tasks(TASK), prediction_folder=DIR), then "
    "xqr-bench evaluate run:DIR (docs/interop.md)"
)


def model_meta(thing: object) -> Any:
    """The `ModelMeta` that an object of mteb's protocol has, or is; None: there is none."""
    with suppress(Exception):  # of a property
        for one in (thing, getattr(thing, "mteb_model_meta", None)):
            if type(one).__name__ == "ModelMeta" and type(one).__module__.startswith("mteb."):
                return one
    return None


def speaks_mteb(thing: object) -> bool:
    """Whether an object has mteb's protocol: an `encode` that is told the `task_metadata`, or a `ModelMeta`."""
    encode = getattr(thing, "encode", None)
    with suppress(TypeError, ValueError):  # no function, or compiled code
        if callable(encode) and "task_metadata" in inspect.signature(encode).parameters:
            return True
    return model_meta(thing) is not None


class MtebEncoder(TextEncoder):
    """A model of mteb's protocol: `encode(DataLoader, *, task_metadata, hf_split, hf_subset, prompt_type)`.

    It chooses prompts and instructions itself, by the metadata of the task and by the role. The metadata are those of
    `any_task`, the same for all tasks, so that a text has one vector.
    """

    def __init__(
        self, model: Any, identity: ModelIdentity, options: EncoderOptions, *, name: str | None, close: Any = None
    ) -> None:
        inner = getattr(model, "model", None)
        device = getattr(inner, "device", None) or getattr(model, "device", None) or options.device
        super().__init__(identity, name=name, device=None if device is None else str(device))
        self._model, self._close = model, close
        self._reader: ModelEncoder | None = None
        self._batch = options.batch_size or BATCH
        self.limits = Limits(max(DEFAULT_ROWS, self._batch))
        self.keep = bool(getattr(model, "keep_vectors", True))
        if class_of(inner) == "SentenceTransformer":
            self._learn_of(inner)
        else:
            self.warn(
                "which prompts and instructions it puts before texts is not known here: they are those that its code "
                f"has for a task of retrieval, {library_version()}"
            )

    def _learn_of(self, inner: Any) -> None:
        """Put into the identity what a SentenceTransformer inside tells: the prompts it is given, limit and type."""
        prompts: dict[str, str | None] = {}
        for role in ROLES:
            with code_of_others(f"the model {self.name} cannot encode a text", "mend it there"), _heard(inner) as heard:
                self.call(role, ["a"])
            prompts[f"{role}_prompt"] = next(iter(heard), None) or None
        length, dtype = getattr(inner, "max_seq_length", None), getattr(inner, "dtype", None)
        known = isinstance(length, int) and length < 10**9  # a tokenizer without a limit says 10^30
        facts = {"max_length": length if known else None, "dtype": dtype and str(dtype).removeprefix("torch.")}
        self.identity = self.identity.model_copy(update=prompts | facts)
        self._reader = ModelEncoder(inner, self.identity, EncoderOptions(), name=self.name, warnings=())

    def measure(self, role: Role, texts: list[str]) -> IntArray | None:
        """See TextEncoder; of a SentenceTransformer inside."""
        return None if self._reader is None else self._reader.measure(role, texts)

    def tokens(self, texts: list[str]) -> tuple[IntArray, IntArray] | None:
        """See BoundEncoder; of a SentenceTransformer inside."""
        return None if self._reader is None else self._reader.tokens(texts)

    def call(self, role: Role, texts: list[str]) -> Any:
        """What its `encode` returns for these texts, handed over as mteb does."""
        from mteb.types import PromptType

        with folder_of_others():
            returned = self._model.encode(
                data_loader(role, texts, self._batch),
                task_metadata=any_task().metadata,
                hf_split=SPLIT,
                hf_subset="default",
                prompt_type=PromptType.query if role == "query" else PromptType.document,
                batch_size=self._batch,
                show_progress_bar=False,
            )
        if getattr(returned, "is_sparse", False):
            self.warn("its rows are sparse and made dense, which changes no number")
        return returned

    def close(self) -> None:
        """Call the object's own `close()`, if it has one and was made here."""
        if callable(self._close):
            with code_of_others(f"close() of the encoder {self.name} failed", "mend it there, or leave it out"):
                self._close()


def data_loader(role: Role, texts: list[str], batch_size: int) -> Any:
    """The texts as mteb hands them to an encoder: batches of the columns that it makes of a query or a document."""
    from datasets import Dataset
    from torch.utils.data import DataLoader

    columns = {"id": [str(number) for number in range(len(texts))]}
    if role == "query":
        columns |= {"text": texts, "query": texts}
    else:
        columns |= {"text": [text.strip() for text in texts], "body": texts}
    return DataLoader(Dataset.from_dict(columns), batch_size=batch_size)


@contextmanager
def _heard(inner: Any) -> Iterator[list[str]]:
    """Yield the prompts that a SentenceTransformer's `encode` is given meanwhile, by their text."""
    heard: list[str] = []
    encode = inner.encode

    def listening(*arguments: Any, **more: Any) -> Any:
        name = more.get("prompt_name") or inner.default_prompt_name
        prompt = more.get("prompt")
        heard.append((inner.prompts.get(name) if prompt is None else prompt) or "")
        return encode(*arguments, **more)

    inner.encode = listening
    try:
        yield heard
    finally:
        del inner.encode


def _refuse_what_has_no_vectors(thing: object, meta: Any, what: str) -> None:
    """Refuse what has no vector a text, as far as can be seen without encoding.

    Raises:
        EncoderError: it is another kind of model.
    """
    other = next((_OTHER_MODELS[kind] for kind in (meta.model_type if meta else ()) if kind in _OTHER_MODELS), None)
    if other is None and meta is not thing and not callable(getattr(thing, "encode", None)):
        other = _OTHER_MODELS["cross-encoder" if hasattr(thing, "predict") else "hybrid"]
    if other is None and meta is not None and str(getattr(meta.similarity_fn_name, "value", "")) == "MaxSim":
        other = _OTHER_MODELS["late-interaction"]
    if other is not None:
        raise EncoderError(f"{what} {other}: mteb's protocol of encoders does not give them", remedy=_IN_MTEB)


def _declared(meta: Any) -> DeclaredTraining | None:
    """What a ModelMeta says the model was trained on."""
    if meta is None:
        return None
    source = f"{library_version()}, ModelMeta of {meta.name}"
    if meta.training_datasets is None:
        return DeclaredTraining(source, None)
    with code_of_others(f"{source} cannot say what the model was trained on", "report it to mteb"):
        return DeclaredTraining(source, frozenset(meta.training_datasets), frozenset(meta.get_training_datasets()))


def load_mteb(spec: Any, options: EncoderOptions) -> MtebEncoder:
    """Load a model of mteb's registry.

    Args:
        spec: `mteb:ORG/MODEL`, or a ModelMeta.
        options: `model_kwargs` go to its loader.

    Raises:
        UsageError: mteb is not installed; an option that means nothing here; the model's own code would run.
        EncoderError: there is no such model; it has no vector a text; it cannot be loaded.
    """
    options.refuse_all_but("a model of mteb's registry", OPTIONS)
    the_library()
    meta = _registered(spec.removeprefix(PREFIX), options.revision) if isinstance(spec, str) else spec
    if meta is spec and options.revision not in (None, meta.revision):
        raise UsageError(
            f"--revision {options.revision} is given with a ModelMeta of another",
            found=str(meta.revision),
            remedy="leave it out",
        )
    _refuse_what_has_no_vectors(meta, meta, f"{PREFIX}{meta.name}")
    own_code = bool((meta.loader_kwargs or {}).get("trust_remote_code"))
    if own_code != options.trust_remote_code:
        raise UsageError(
            f"mteb runs code that comes with {meta.name}"
            if own_code
            else f"--trust-remote-code is given, and mteb runs no code that comes with {meta.name}",
            remedy="look at it, then allow it: --trust-remote-code" if own_code else "leave it out",
        )
    who, said = f"mteb's ModelMeta of {meta.name}", meta.similarity_fn_name
    declared_similarity(said, options.similarity, who)  # before it is loaded
    with code_of_others(
        f"mteb cannot load {meta.name}", "see what it says; with HF_HUB_OFFLINE=1 only the cache is used"
    ):
        device = None if options.device is None else choose_device(options.device)
        model = meta.load_model(device=device, **options.model_kwargs)
    _refuse_what_has_no_vectors(model, meta, f"{PREFIX}{meta.name}")
    own = similarity_of(_Similarity(model))
    identity = ModelIdentity(
        kind="mteb",
        name=meta.name,
        revision=meta.revision,
        distribution=library_version(),
        truncate_dim=options.truncate_dim,
        similarity=declared_similarity(said or own, options.similarity, who),
        model_kwargs=dict(options.model_kwargs),
        remote_code=own_code,
    )
    encoder = MtebEncoder(model, identity, options, name=options.name)
    encoder.declared = _declared(meta)
    _tell_of_similarity(encoder, said, own, options)
    return encoder


def asks_a_server(model: str) -> bool:
    """Whether a MODEL string is one of mteb's registry whose texts a server gets, and perhaps a key with them.

    mteb does not say so of all: what has no weights that one could have is taken for such a model too.
    """
    if not (model.startswith(PREFIX) and "/" in model):
        return False
    the_library()
    meta = _registered(model.removeprefix(PREFIX), None)
    return not meta.open_weights or "API" in meta.framework


def _registered(name: str, revision: str | None) -> Any:
    import mteb
    from mteb.models.get_model_meta import _MODEL_RENAMES
    from mteb.models.model_implementations import MODEL_REGISTRY

    if name not in MODEL_REGISTRY and name not in _MODEL_RENAMES:
        raise EncoderError(
            f"{library_version()} has no model {name!r} in its registry",
            found=closest(name, MODEL_REGISTRY),
            remedy="name one of mteb.get_model_metas(); a sentence-transformers model that is not among them is named "
            "without mteb:",
        )
    with code_of_others(f"mteb does not give {name}", "leave --revision out, or install the mteb that has it"):
        return mteb.get_model_meta(name, revision=revision)


def _tell_of_similarity(encoder: MtebEncoder, said: Any, own: object, options: EncoderOptions) -> None:
    """Warn where the model's `own` similarity, by which mteb ranks, is not what its ModelMeta `said`, as we do."""
    chosen = encoder.identity.similarity
    if options.similarity is not None:
        return
    if said is None:
        encoder.warn(f"no ModelMeta declares its similarity: ranked by {chosen}")
    elif own not in (None, chosen):
        encoder.warn(
            f"mteb's ModelMeta declares {chosen}, and the model's own similarity() is {own}: ranked by {chosen}, which "
            "is the same where vectors have length 1"
        )


class _Similarity:
    """The method `similarity` of a model, and nothing else of it."""

    def __init__(self, model: Any) -> None:
        self.similarity = getattr(model, "similarity", None)


def bind_mteb_object(
    thing: Any,
    options: EncoderOptions,
    *,
    what: str | None = None,
    module: ModuleType | None = None,
    owned: bool = True,
) -> MtebEncoder:
    """Bind an object of mteb's protocol that is not of its registry.

    Args:
        thing: has `encode(DataLoader, *, task_metadata, ...)`; its `mteb_model_meta` may tell name, revision and more.
        options: see EncoderOptions.
        what: what the user called it (default: its class).
        module: the module it was in, part of the source digest.
        owned: whether `close()` of what is returned closes it.

    Raises:
        UsageError: mteb is not installed; an option that means nothing here.
        EncoderError: it has no vector a text, or a similarity without a matrix product.
    """
    the_library()
    meta, own = model_meta(thing), type(thing).__qualname__
    what = what or own
    options.refuse_all_but(f"an object of mteb's protocol ({what})", OPTIONS_OF_OBJECT)
    _refuse_what_has_no_vectors(thing, meta, what)
    named = None if meta is None or str(meta.name).startswith("no_model_name") else str(meta.name)
    name = getattr(thing, "name", None)
    name = options.name or (name if isinstance(name, str) and name else None) or named or own
    revision = getattr(thing, "revision", None) or getattr(meta, "revision", None)
    said, computed = getattr(meta, "similarity_fn_name", None), similarity_of(_Similarity(thing))
    identity = ModelIdentity(
        kind="python",
        name=what,
        revision=None if revision in (None, "no_revision_available") else str(revision),
        digest=source_digest(thing, module),
        distribution=library_version(),
        truncate_dim=options.truncate_dim,
        similarity=declared_similarity(said or computed, options.similarity, name),
        model_kwargs=dict(options.encoder_arg),
    )
    encoder = MtebEncoder(thing, identity, options, name=name, close=getattr(thing, "close", None) if owned else None)
    encoder.declared = _declared(meta)
    _tell_of_similarity(encoder, said, computed, options)
    return encoder
