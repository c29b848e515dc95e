"""MODEL -> an encoder that is ready to use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import EncoderError, UsageError, begin_in_our_folder, closest, code_of_others
from xqr_bench.core.files import named_folder
from xqr_bench.encode import (
    char_ngrams,  # noqa: F401  (registers itself)
    mteb_model,
)
from xqr_bench.encode.bound import BoundEncoder
from xqr_bench.encode.conventions import scorer_of
from xqr_bench.encode.devices import devices_of
from xqr_bench.encode.endpoint import Endpoint
from xqr_bench.encode.hardware import choose_device
from xqr_bench.encode.kinds import OtherKindError, OtherModel, class_of
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.encode.precomputed import PREFIX, Precomputed
from xqr_bench.encode.providers import is_endpoint
from xqr_bench.encode.python_object import RANKED, bind_object, instantiate, is_python_spec, load_object
from xqr_bench.encode.registry import ENCODERS
from xqr_bench.encode.sentence_transformer import (
    ModelEncoder,
    bind_instance,
    is_hub_name,
    load_folder,
    load_from_hub,
)
from xqr_bench.tasks.find import shipped_tasks


@dataclass(frozen=True)
class EncoderKind:
    """One form that MODEL can have."""

    form: str
    description: str
    example: str


ENCODER_KINDS = (
    EncoderKind("NAME", "a built-in encoder or an installed plugin, listed below", "char-ngrams"),
    EncoderKind(
        "precomputed:DIR",
        "vectors made elsewhere: DIR/<task>/{queries,candidates}.npy, .ids.txt beside each",
        "precomputed:vectors/my-model",
    ),
    EncoderKind(
        "http://HOST/v1",
        "a model behind an API for embeddings, also https://; --model names it, --provider says whose API",
        "http://127.0.0.1:8000/v1 --model NAME",
    ),
    EncoderKind(
        "scores:DIR",
        "score matrices made elsewhere: DIR/<task>/scores.npy, {queries,candidates}.ids.txt beside (docs/rankers.md)",
        "scores:scores/my-model",
    ),
    EncoderKind(
        "run:DIR",
        "a ranking made elsewhere: TREC runs, DIR/<task>/<setting>.run[.gz], or predictions of mteb (docs/interop.md)",
        "run:runs/my-system",
    ),
    EncoderKind(
        "mteb:ORG/MODEL",
        "a model of mteb's registry, through mteb's own protocol and prompts (needs xqr-bench[mteb])",
        "mteb:intfloat/multilingual-e5-small",
    ),
    EncoderKind(
        "module:Object, file.py:Object",
        "an encoder in Python: an instance, a class, a function that returns one, or one of a list of texts; or what "
        "has score(queries, candidates) in place of vectors (docs/rankers.md)",
        "my_encoder.py:MyEncoder",
    ),
    EncoderKind(
        "FOLDER",
        "a sentence-transformers or transformers model on disk, dense, sparse, late interaction or cross-encoder",
        "./checkpoints/final",
    ),
    EncoderKind(
        "HUB-NAME", "a sentence-transformers or transformers model of the hub", "intfloat/multilingual-e5-small"
    ),
)
"""The forms MODEL can have, in the order in which they are tried."""


@checked
def load_encoder(
    spec: object, options: EncoderOptions | None = None, *, other_names: Collection[str] = ()
) -> BoundEncoder:
    """Return the encoder that `spec` names, or bind the one it is.

    A string is, in this order: the name of a built-in encoder or an installed plugin; `precomputed:DIR`;
    `mteb:ORG/MODEL`; the address of an endpoint, `http://HOST/v1`; `module:Object` or `file.py:Object`; an existing
    folder; the name of a hub model. Anything else is an encoder itself (see Encoder), a class or a factory of one, a
    function of a list of texts, a SentenceTransformer, an object of mteb's protocol, or a ModelMeta of mteb.

    Args:
        spec: see above.
        options: how to load and use it.
        other_names: names that the user may have meant too, such as those of rankers without an encoder.

    Raises:
        OtherKindError: it is a model without dense vectors, which `evaluate` takes.
        EncoderError: there is no such encoder, or it cannot be loaded.
        UsageError: an option that this encoder cannot follow.
    """
    given = options or EncoderOptions()
    options = given.with_line_breaks()
    if isinstance(spec, BoundEncoder):
        if options != EncoderOptions():
            raise EncoderError(f"{spec.name} is loaded already", remedy="give the options where it is loaded first")
        return spec
    template = options.candidate_template
    plain = replace(options, candidate_context=None, context_template=None)
    begin_in_our_folder()
    bound = _on_devices(spec, plain, other_names) if "," in (plain.device or "") else _load(spec, plain, other_names)
    bound.source = str(spec) if isinstance(spec, str | Path) else None
    bound.options = options
    if options != given:
        bound.warn(r"\n in a prompt or template was read as a line break")
    if template is not None:
        if isinstance(bound, Precomputed):
            raise UsageError(
                "--candidate-context cannot be used with precomputed vectors: they are encoded already",
                remedy="encode the candidates with their paragraphs, and leave the option out",
            )
        bound.identity = bound.identity.model_copy(update={"candidate_context": template})
        if options.name is None:
            bound.name += f"+{options.candidate_context}"  # a record of its own beside that of the sentence alone
    return bound


def _on_devices(spec: object, options: EncoderOptions, other_names: Collection[str]) -> BoundEncoder:
    devices = [choose_device(device) for device in devices_of(options.device)]
    bound = _load(spec, replace(options, device=devices[0]), other_names)
    if type(bound) is not ModelEncoder or not isinstance(spec, str | Path):
        bound.close()
        raise UsageError(
            f"{bound.name} cannot encode on several devices",
            found=f"--device {options.device}",
            remedy="give one; several are for a sentence-transformers model that is named by its folder or on the hub",
        )
    options = replace(options, revision=bound.identity.revision)  # of a hub model the same commit
    bound.spread(devices, partial(_on_device, str(spec), options))
    return bound


def _on_device(spec: str, options: EncoderOptions, device: str) -> BoundEncoder:
    return _load(spec, replace(options, device=device), ())


def _load(spec: object, options: EncoderOptions, other_names: Collection[str]) -> BoundEncoder:
    if mteb_model.model_meta(spec) is spec:
        return mteb_model.load_mteb(spec, options)
    if not isinstance(spec, str | Path):
        thing = instantiate(spec, repr(spec), options.encoder_arg)
        return _bind(thing, options, owned=thing is not spec)  # who made it closes it
    text = str(spec)
    if not text.strip():
        raise EncoderError("MODEL is empty", remedy="name an encoder: `xqr-bench encoders` lists what MODEL can be")
    if text in ENCODERS:
        origin = ENCODERS.origins()[text]
        built_in = origin == "built in"
        return _bind(
            instantiate(ENCODERS.get(text), f"the encoder {text!r}"),
            options,
            kind="builtin" if built_in else "plugin",
            what=text,
            distribution=None if built_in else origin,
        )
    if text.startswith(RANKED):
        raise EncoderError(
            f"{text} is a ranking, not an encoder: it has no vectors",
            remedy=f"score it with `xqr-bench evaluate {text}`, in Python with xqr_bench.evaluate",
        )
    if text.startswith(PREFIX):
        return Precomputed(named_folder(text), options)
    if text.startswith(mteb_model.PREFIX) and "/" in text:
        return mteb_model.load_mteb(text, options)
    if is_endpoint(text):
        return Endpoint(text, options)
    if is_python_spec(text):
        named, module = load_object(text)
        what = text.replace("\\", "/").rpartition("/")[2]
        return _bind(instantiate(named, text, options.encoder_arg), options, what=what, module=module)
    folder = Path(text).expanduser()
    if folder.is_dir():
        return load_folder(folder, options)
    refuse_what_is_no_model(text, folder, other_names)
    names = [*ENCODERS.names(), *other_names]
    return load_from_hub(text, options, closest(text, names, "closest built-in or plugin"))


def _bind(thing: Any, options: EncoderOptions, **how: Any) -> BoundEncoder:
    library = class_of(thing)
    if library == "SentenceTransformer":
        return bind_instance(thing, options)
    if library is not None:
        raise OtherKindError(OtherModel(library, f"the object {how.get('what', type(thing).__name__)}", thing=thing))
    with code_of_others(
        f"the encoder {how.get('what', type(thing).__name__)} cannot be asked what it is", "mend it there"
    ):
        if mteb_model.speaks_mteb(thing) and how.get("kind") is None:
            return mteb_model.bind_mteb_object(thing, options, **how)
        if how.get("kind") is None and scorer_of(thing) is not None:
            what = how.get("what") or type(thing).__name__
            raise OtherKindError(OtherModel("scorer of pairs", f"the object {what}", thing=thing, how=how))
        return bind_object(thing, options, **how)


def refuse_what_is_no_model(text: str, path: Path, other_names: Collection[str] = ()) -> None:
    """Refuse a path that is a file, or a folder without a model in it.

    Raises:
        EncoderError: it cannot be loaded as a model.
    """
    if text in shipped_tasks() or (path.is_file() and path.suffix == ".toml"):
        raise EncoderError(
            f"{text} is a task, not a model",
            remedy=f"name what is to be scored on it, such as: xqr-bench evaluate char-ngrams --task {text}",
        )
    if path.is_file():
        raise EncoderError(
            f"{text} is a file, not a model",
            remedy=f"name the encoder in it: {text}:Object" if path.suffix == ".py" else "name the folder it is in",
        )
    if text.startswith((".", "/", "~")) or text.endswith("/") or text.count("/") > 1:
        parent = path.parent
        near = [child.name for child in parent.iterdir() if child.is_dir()] if parent.is_dir() else []
        raise EncoderError(
            f"there is no folder {text}",
            found=closest(path.name, near),
            remedy="name an existing folder, or a hub model as organisation/model",
        )
    if not is_hub_name(text):
        forms = "; ".join(kind.form for kind in ENCODER_KINDS)
        raise EncoderError(
            f"{text!r} names no encoder",
            found=f"known names: {', '.join([*ENCODERS.names(), *other_names])}",
            remedy=f"MODEL is one of: {forms} (xqr-bench encoders explains them)",
        )
