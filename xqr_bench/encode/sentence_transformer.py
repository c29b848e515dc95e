"""sentence-transformers models: a hub name, a folder, or a model in memory; their commit and device."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.files import name_of_folder
from xqr_bench.core.observe import library_bars_hidden
from xqr_bench.core.types import IntArray
from xqr_bench.encode.bound import BoundEncoder, TextEncoder
from xqr_bench.encode.devices import Devices
from xqr_bench.encode.hardware import Transfers, choose_device, computes_in, config_of, lanes_of, limits_of
from xqr_bench.encode.kinds import OtherKindError, OtherModel, class_of_saved
from xqr_bench.encode.options import OF_ENDPOINTS, EncoderOptions, ModelIdentity, Role
from xqr_bench.encode.python_object import declared_similarity
from xqr_bench.encode.weights import (
    ADAPTER,
    base_named_in,
    base_of,
    cache_folder,
    cached_commit,
    cached_folder,
    loaded_from,
    model_files,
)

ORGANISATION = "sentence-transformers"
TIMEOUT = 20.0

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Attributes:
        name: `organisation/model`, as the hub writes it.
        commit: what the revision asked for stands for now.
        cached_only: load from the cache without asking the hub again.
        warning: something to tell the user.
    """

    name: str
    commit: str
    cached_only: bool = False
    warning: str | None = None


def is_hub_name(name: str) -> bool:
    """Whether `name` has the form `model` or `organisation/model`, as the hub allows it with its organisation."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    if not _HUB_NAME.fullmatch(name):
        return False
    try:
        validate_repo_id(name if "/" in name else f"{ORGANISATION}/{name}")
    except HFValidationError:
        return False
    return True


def resolve_model(name: str, revision: str | None, hint: str | None = None) -> HubModel:
    """Find the commit that `name` at `revision` stands for; the cache answers when the hub cannot be asked.

    A name without organisation means `sentence-transformers/name` if there is one, as sentence-transformers has it.

    Args:
        name: see `is_hub_name`.
        revision: branch, tag or commit (default: main).
        hint: added to the message when there is no such model.

    Raises:
        EncoderError: no such model or revision, no access, or neither hub nor cache can answer.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    names = [name] if "/" in name else [f"{ORGANISATION}/{name}", name]
    offline = constants.HF_HUB_OFFLINE
    failure: Exception | None = None
    for candidate in () if offline else names:
        try:
            info = HfApi().model_info(candidate, revision=revision, timeout=TIMEOUT)
            return HubModel(info.id, str(info.sha))
        except RevisionNotFoundError as error:
            raise EncoderError(
                f"the model {candidate} has no revision {revision!r}",
                remedy="give --revision a branch, a tag or a commit that its page on the hub lists",
            ) from error
        except Exception as error:  # the network's exceptions differ by version of the hub's client
            failure = error
            if isinstance(error, GatedRepoError) or not isinstance(error, RepositoryNotFoundError):
                break
    for candidate in names:
        if commit := cached_commit(candidate, revision):
            warning = (
                f"the hub could not be asked about {candidate} ({_first_line(failure)}): the copy in the cache was "
                f"used, commit {commit[:12]}"
            )
            return HubModel(candidate, commit, cached_only=True, warning=None if offline else warning)
    if offline:
        raise EncoderError(
            f"there is no model {name!r} here: no folder, and none in the cache of hub models" + _at(revision),
            found=_join("HF_HUB_OFFLINE is set, so the hub was not asked", hint),
            remedy="unset HF_HUB_OFFLINE to download it, or name a folder that holds a model",
        )
    if isinstance(failure, GatedRepoError):
        raise EncoderError(
            f"the model {name} is gated", remedy="accept its terms on its page on the hub, then: hf auth login"
        ) from failure
    if isinstance(failure, RepositoryNotFoundError):
        raise EncoderError(
            f"there is no model {name!r}: no folder, and none on the hub that you may read",
            found=_join(f"asked {constants.ENDPOINT} for {' and '.join(names)}", hint),
            remedy="check the name (xqr-bench encoders lists what MODEL can be); for a private model: hf auth login",
        ) from failure
    raise EncoderError(
        f"the hub could not be asked for the model {name!r}, and the cache does not hold it" + _at(revision),
        found=_join(f"{constants.ENDPOINT}: {_first_line(failure)}", hint),
        remedy="check the network (HF_ENDPOINT, proxy), or name a folder that holds a model",
    ) from failure


def _at(revision: str | None) -> str:
    return f" at revision {revision!r}" if revision else ""


def _join(text: str, hint: str | None) -> str:
    return f"{text}; {hint}" if hint else text


def _first_line(error: Exception | None) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


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


LOADED_ELSEWHERE = frozenset({"revision", "device", "dtype", "max_length", "model_kwargs", "trust_remote_code"})
ALL_OPTIONS = frozenset(EncoderOptions.__dataclass_fields__) - {"encoder_arg"} - OF_ENDPOINTS


def load_folder(folder: Path, options: EncoderOptions) -> ModelEncoder:
    """Load a model from a folder; its digest is taken over the files.

    Raises:
        EncoderError: the folder holds no model that sentence-transformers can load, or see `bind_model`.
    """
    options.refuse_all_but("a model in a folder", ALL_OPTIONS - {"revision"})
    if not any((folder / name).is_file() for name in ("modules.json", "config.json", ADAPTER)):
        inside = ", ".join(sorted(path.name for path in folder.iterdir())[:8])
        raise EncoderError(
            f"the folder {folder} holds no model: it has neither modules.json nor config.json",
            found=inside or "an empty folder",
            remedy="name the folder a model was saved to; for vectors made elsewhere: precomputed:DIR",
        )
    model_files(folder)  # the library would wait for a pipe
    model = load_model(str(folder), options, where=f"the folder {folder}")
    facts = _facts_of_folder(folder)
    facts["warnings"] += _notes_on_modules(str(folder), model, _found_by(options, None))
    return bind_model(model, options, **facts)


def load_from_hub(name: str, options: EncoderOptions, hint: str | None = None) -> ModelEncoder:
    """Load a model from the hub, or from its cache; the commit is recorded as revision.

    Args:
        name: `organisation/model`, or `model` of the organisation sentence-transformers.
        options: see EncoderOptions.
        hint: added to the message when there is no such model.

    Raises:
        EncoderError: see `resolve_model` and `bind_model`; or the model cannot be loaded.
    """
    options.refuse_all_but("a model of the hub", ALL_OPTIONS)
    hub = resolve_model(name, options.revision, hint)
    model = load_model(hub.name, options, where=f"the hub model {hub.name}", hub=hub)
    facts = _facts_of_hub(hub, options)
    facts["warnings"] += _notes_on_modules(hub.name, model, _found_by(options, hub))
    return bind_model(model, options, **facts)


def bind_instance(model: Any, options: EncoderOptions) -> ModelEncoder:
    """Bind a SentenceTransformer that is in memory already; its weights have no digest.

    Raises:
        EncoderError: see `bind_model`.
        UsageError: an option that must be given when the model is loaded.
    """
    return bind_model(model, options, **_facts_of_instance(model, options))


def load_model(name: str, options: EncoderOptions, *, where: str, hub: HubModel | None = None) -> Any:
    """Load a SentenceTransformer from a folder, or from the hub (`hub`: as `resolve_model` returns it).

    Args:
        name: folder or hub name.
        options: revision, device, dtype, max_length, model_kwargs and trust_remote_code are followed.
        where: how messages call it.

    Raises:
        OtherKindError: it is a model of another kind.
        EncoderError: it cannot be loaded, there is no such device, or it cannot read so long texts.
    """
    adapter, found_by = name, _found_by(options, hub)
    _refuse_other_kinds(name, where, found_by, hub)
    base, has_modules = _base(name, found_by)
    if has_modules:
        name, found_by = str(base), {**found_by, "revision": None}
        _refuse_other_kinds(name, f"the base of {where}", found_by, None)
    model = _of_library("SentenceTransformer", name, options, found_by, where, adapter if has_modules else None)
    if options.max_length is not None:
        set_max_length(model, options.max_length)
    return model


def _refuse_other_kinds(name: str, where: str, found_by: Mapping[str, Any], hub: HubModel | None) -> None:
    """Refuse a model that the library would turn into what it is not: a mean over its tokens, as one vector a text."""
    from sentence_transformers.util import load_file_path

    library = class_of_saved(where, lambda file: load_file_path(name, file, **found_by))
    if library != "SentenceTransformer":
        raise OtherKindError(OtherModel(library, where, name, hub))


def _of_library(
    library: str,
    name: str,
    options: EncoderOptions,
    found_by: Mapping[str, Any],
    where: str,
    adapter: str | None = None,
) -> Any:
    """Load a model by a class of the library, and put an adapter on it."""
    import sentence_transformers
    import torch

    device = None if "device_map" in options.model_kwargs else choose_device(options.device)
    try:
        with library_bars_hidden(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # for weights that the files lack, such as an unused pooler's
            model = getattr(sentence_transformers, library)(
                name,
                device=device,
                **found_by,
                trust_remote_code=options.trust_remote_code,
                model_kwargs=dict(options.model_kwargs),
            )
            if adapter is not None:
                model.load_adapter(_adapter_folder(adapter, options, found_by))
            if options.dtype is not None:
                model.to(getattr(torch, options.dtype))
    except Exception as error:  # the library lets through whatever happens below it
        lines = str(error).strip().splitlines() or [""]
        raise EncoderError(
            f"sentence-transformers cannot load {where}",
            found=f"{type(error).__name__}: {lines[0]}",
            remedy=_remedy(str(error)),
        ) from error
    _refuse_without_words(model, where)
    return model


def load_other(other: OtherModel, options: EncoderOptions) -> tuple[Any, dict[str, Any]]:
    """Load a model of another kind by its class of the library; `max_length` is left to the caller.

    Args:
        other: of an `OtherKindError`.
        options: revision, device, dtype, model_kwargs and trust_remote_code are followed; the caller follows or refuses
            the rest.

    Returns:
        the object; and what is known of it: `name`, `revision`, `digest` and `base` as an identity has them, and
        `warnings`.

    Raises:
        EncoderError: it cannot be loaded.
        UsageError: an option that must be given when the model is loaded.
    """
    if other.thing is not None:
        return other.thing, _facts_of_instance(other.thing, options)
    model = _of_library(other.library, other.name, options, _found_by(options, other.hub), other.where)
    facts = _facts_of_folder(Path(other.name)) if other.hub is None else _facts_of_hub(other.hub, options)
    return model, facts


def _facts_of_folder(folder: Path) -> dict[str, Any]:
    digest, base = loaded_from(folder)
    return {"name": name_of_folder(folder), "digest": digest, "base": base, "warnings": []}


def _facts_of_hub(hub: HubModel, options: EncoderOptions) -> dict[str, Any]:
    folder = cached_folder(hub.name, options.revision)
    return {
        "name": hub.name,
        "revision": hub.commit if folder is None else folder.name,
        "base": None if folder is None else base_of(folder),
        "warnings": [*filter(None, [hub.warning])],
    }


def _facts_of_instance(model: Any, options: EncoderOptions) -> dict[str, Any]:
    options.refuse_all_but("a model in memory", ALL_OPTIONS - LOADED_ELSEWHERE | {"encoder_arg"})
    name = str(getattr(config_of(model), "_name_or_path", "") or "").rstrip("/")
    if Path(name).is_dir():
        name = name_of_folder(Path(name))
    warning = "a model passed as an object has no revision and no digest in its record: name its folder to have one"
    return {"name": name or type(model).__name__, "warnings": [warning]}


def _refuse_without_words(model: Any, where: str) -> None:
    """Refuse a tokenizer that the library made for want of its files: each word is unknown to it."""
    tokenizer: Any = getattr(model, "tokenizer", None)
    special = getattr(tokenizer, "all_special_tokens", None)
    if special and len(tokenizer) <= len(special) + 2:  # a space may be there too
        raise EncoderError(
            f"the tokenizer of {where} knows no words",
            found=", ".join(special[:8]),
            remedy="its files are not there: copy tokenizer.json, or its vocabulary",
        )


def _found_by(options: EncoderOptions, hub: HubModel | None) -> dict[str, Any]:
    """How the library finds a model."""
    return {
        "revision": options.revision,  # not the commit: the cache would then not know it by its name
        "local_files_only": hub is None or hub.cached_only,
        "cache_folder": cache_folder(),
    }


def _base(name: str, found_by: Mapping[str, Any]) -> tuple[str | None, bool]:
    """What an adapter without modules of its own is put on, and whether that has modules: its pooling, prompts, limits.

    (None, False) for any other model.
    """
    from sentence_transformers.util import load_file_path

    if load_file_path(name, "modules.json", **found_by) is not None:
        return None, False
    config = load_file_path(name, ADAPTER, **found_by)
    base = None if config is None else base_named_in(Path(config))
    if base is None:
        return None, False
    return base, load_file_path(base, "modules.json", **{**found_by, "revision": None}) is not None


def _adapter_folder(name: str, options: EncoderOptions, found_by: Mapping[str, Any]) -> str:
    if Path(name).is_dir():
        return name
    from huggingface_hub import snapshot_download

    return snapshot_download(
        name,
        revision=options.revision,
        cache_dir=found_by["cache_folder"],
        local_files_only=found_by["local_files_only"],
        allow_patterns=["adapter_*"],
    )


def _remedy(problem: str) -> str:
    """What to do when the library cannot load a model."""
    if "trust_remote_code" in problem:
        return "it brings code of its own: read it, and if you trust it give --trust-remote-code"
    if "`peft`" in problem or "'peft'" in problem:
        return "it is an adapter: pip install peft"
    return "check its files, --model-kwargs and the versions of sentence-transformers and transformers"


def _positions(model: Any) -> int | None:
    """How many tokens the model can read; None: it has no table of positions.

    Models of the RoBERTa family (XLM-R, MPNet) number tokens from behind the number of the padding token: of 514
    positions they read 512.
    """
    for name, module in getattr(model[0], "auto_model", model).named_modules():
        if name.endswith("position_embeddings") and isinstance(getattr(module, "num_embeddings", None), int):
            padding = getattr(module, "padding_idx", None)
            return int(module.num_embeddings) - (0 if padding is None else padding + 1)
    positions = getattr(config_of(model), "max_position_embeddings", None)
    return positions if isinstance(positions, int) else None


def set_max_length(model: Any, length: int | None) -> None:
    """Have texts cut off after so many tokens; None: after as many as the model says.

    Raises:
        EncoderError: that is more than it can read, or leaves nothing of a text.
    """
    own = getattr(getattr(model, "tokenizer", None), "num_special_tokens_to_add", lambda pair: 0)(False)
    if length is not None and length <= own:
        raise EncoderError(
            f"--max-length {length} leaves nothing of a text",
            found=f"{own} tokens of its own that the model puts around it",
            remedy=f"give --max-length {own + 1}, or more",
        )
    limit, positions = model.max_seq_length if length is None else length, _positions(model)
    if positions is not None and isinstance(limit, int) and positions < limit <= 10**9:  # beyond: a tokenizer without
        which = f"the model's own limit of {limit} tokens" if length is None else f"--max-length {limit}"
        raise EncoderError(
            f"{which} is more than the model can read",
            found=f"{positions} positions",
            remedy=f"give --max-length {positions}, or less",
        )
    if length is not None:
        model.max_seq_length = length


def _notes_on_modules(name: str, model: Any, found_by: Mapping[str, Any]) -> list[str]:
    """What a reader should know of a model that does not say how its vectors are pooled."""
    from sentence_transformers.util import load_file_path

    if load_file_path(name, "modules.json", **found_by) is not None:
        return []
    base, has_modules = _base(name, found_by)
    what, on = (Path(one).name if Path(one).is_dir() else one for one in (name, base or ""))
    if has_modules:
        return [f"{what} is an adapter without modules.json: pooling, prompts and limits are those of its base {on}"]
    pooling: Any = next((module for module in model if type(module).__name__ == "Pooling"), None)
    mode = f" with {pooling.pooling_mode} pooling" if hasattr(pooling, "pooling_mode") else ""
    lacking = f"{what} has no" if base is None else f"neither the adapter {what} nor its base {on} has"
    masked = any(str(one).endswith("ForMaskedLM") for one in getattr(config_of(model), "architectures", None) or [])
    return [
        f"{lacking} modules.json: sentence-transformers took the plain transformer{mode}, which it may not have been "
        "trained for" + ("; if it is a SPLADE model, save it as a SparseEncoder first" if masked else "")
    ]


MOST_REMEMBERED = 200_000


class ModelEncoder(TextEncoder):
    """A SentenceTransformer: its `encode_query` and `encode_document`, with prompts that are given explicitly.

    Texts whose tokens were counted are not read by the tokenizer again for that: `counts` has the tokens of up to
    `MOST_REMEMBERED` texts, and how many of them are unknown. Models with one tokenizer may share it.

    Raises:
        UsageError: a token budget for a model whose tokens cannot be counted.
    """

    def __init__(
        self, model: Any, identity: ModelIdentity, options: EncoderOptions, *, name: str | None, warnings: Sequence[str]
    ) -> None:
        super().__init__(identity, name=name, device=str(model.device), warnings=warnings)
        self.model = model
        self.called = {"query": "encode_query", "candidate": "encode_document"}
        tokenizer = getattr(model[0], "tokenizer", None)
        # None for a model that does not read through a transformers tokenizer
        self._tokenizer: Any = tokenizer if callable(tokenizer) else None
        self._unknown: int | None = getattr(tokenizer, "unk_token_id", None)  # None: every text can be spelled
        self.counts: dict[str, tuple[int, int]] = {}
        self._devices: Devices | None = None
        self.symmetric = self.prompt("query") == self.prompt("candidate") and _same_for_both_roles(model)
        self.limits = limits_of(options, model, measured=hasattr(self._tokenizer, "model_max_length"))
        self._transfers = Transfers(model)
        self.lanes = lanes_of(model, self._transfers)
        if model.device.type == "cpu" and not computes_in(identity.dtype or ""):
            self.hint = f"this processor does not compute in {identity.dtype}: encoding takes many times longer"

    def spread(self, devices: Sequence[str], load: Callable[[str], BoundEncoder]) -> None:
        """Encode on several devices, of which this model is on the first (see Devices)."""
        self._devices = Devices(devices, self._encode, load)
        self.lanes, self.device = self._devices.lanes, ",".join(devices)

    def close(self) -> None:
        """End the processes of other devices."""
        if self._devices is not None:
            self._devices.stop()

    def call(self, role: Role, texts: list[str]) -> Any:
        """One batch as it was planned; the library only sorts within it."""
        return self._encode(role, texts) if self._devices is None else self._devices.call(role, texts)

    def _encode(self, role: Role, texts: list[str]) -> Any:
        vectors = getattr(self.model, self.called[role])(
            texts,
            prompt=self.prompt(role),
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return self._transfers.here(vectors)

    def measure(self, role: Role, texts: list[str]) -> IntArray | None:
        """See TextEncoder."""
        if not hasattr(self._tokenizer, "model_max_length"):
            return None
        prompt = self.prompt(role)
        # only a fast tokenizer tells the tokens that it put around the text from those it read
        remember = not prompt and getattr(self._tokenizer, "is_fast", False)
        encoded = self._encoded([prompt + text for text in texts], return_special_tokens_mask=remember)
        ids = encoded["input_ids"]
        if remember and len(self.counts) + len(texts) <= MOST_REMEMBERED:
            for text, row, mask in zip(texts, ids, encoded["special_tokens_mask"], strict=True):
                own = [token for token, special in zip(row, mask, strict=True) if not special]
                self.counts[text] = (len(own), self._unknown_in(own))
        return np.array([len(row) for row in ids], dtype=np.int64)

    def tokens(self, texts: list[str]) -> tuple[IntArray, IntArray] | None:
        """See BoundEncoder."""
        if not hasattr(self._tokenizer, "unk_token_id"):
            return None
        counts = {text: self.counts[text] for text in texts if text in self.counts}
        missing = [text for text in texts if text not in counts]
        if missing:
            rows = self._encoded(missing, add_special_tokens=False)["input_ids"]
            found = {text: (len(row), self._unknown_in(row)) for text, row in zip(missing, rows, strict=True)}
            counts |= found
            if len(self.counts) + len(found) <= MOST_REMEMBERED:
                self.counts.update(found)
        table = np.array([counts[text] for text in texts], dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _unknown_in(self, row: list[int]) -> int:
        return 0 if self._unknown is None else row.count(self._unknown)

    def _encoded(self, texts: list[str], **options: Any) -> Any:
        return self._tokenizer(
            texts, truncation=False, return_attention_mask=False, return_token_type_ids=False, verbose=False, **options
        )


def bind_model(
    model: Any,
    options: EncoderOptions,
    *,
    name: str,
    revision: str | None = None,
    digest: str | None = None,
    base: str | None = None,
    warnings: Sequence[str] = (),
) -> ModelEncoder:
    """Bind a SentenceTransformer.

    The prompts that the library would use are looked up here and given to it explicitly, so what the identity says
    is what was used.

    Raises:
        EncoderError: the model declares a similarity without a matrix product, lacks the named prompt, or lets through
            longer texts than it can read.
        UsageError: see ModelEncoder.
    """
    set_max_length(model, None)
    notes = list(warnings)
    max_length = model.max_seq_length
    if not isinstance(max_length, int) or max_length > 10**9:  # a tokenizer without a limit says 10^30
        max_length = None
    dtype = getattr(model, "dtype", None)
    identity = ModelIdentity(
        kind="sentence-transformers",
        name=name,
        revision=revision,
        digest=digest,
        base=base,
        query_prompt=query_prompt(model, options) or None,
        candidate_prompt=candidate_prompt(model, options, notes) or None,
        max_length=max_length,
        dtype=None if dtype is None else str(dtype).removeprefix("torch."),
        truncate_dim=options.truncate_dim or model.truncate_dim,
        similarity=declared_similarity(model.similarity_fn_name, options.similarity, name),
        model_kwargs=json.loads(json.dumps(dict(options.model_kwargs), default=str)),
        remote_code=options.trust_remote_code,
    )
    return ModelEncoder(model, identity, options, name=options.name, warnings=notes)


def _same_for_both_roles(model: Any) -> bool:
    """Whether `encode_query` and `encode_document` differ in nothing but the prompt; False when in doubt."""
    for module in model:
        kind = type(module)
        if not kind.__module__.startswith("sentence_transformers.") or kind.__name__ in ("Router", "Asym"):
            return False
        if getattr(module, "query_length", None) != getattr(module, "document_length", None):
            return False
    if "task" in model.get_model_kwargs():
        return False
    return getattr(getattr(model, "tokenizer", None), "chat_template", None) is None
