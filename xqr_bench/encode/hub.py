"""Which model is loaded: the commit of a hub model, asked before loading, and digests that name files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.files import sha256_of

# Digests that name the files an encoder was made from.

TRAINING_FILE = "xqr_bench_training.json"
"""Name of the training record in a model's folder."""


def digest_of_files(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name; the order given does not matter."""
    rows = sorted((name, sha256_of(path)) for name, path in files)
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in rows).encode()).hexdigest()


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over relative names and contents of the files of a model folder.

    Left out, because no model is loaded from them: hidden files and folders, `__pycache__`, and what a training
    leaves behind: its record (with times in it) and the `checkpoint-*` folders.
    """
    files: list[tuple[str, Path]] = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if any(part.startswith((".", "checkpoint-")) or part in ("__pycache__", TRAINING_FILE) for part in parts):
            continue
        if path.is_file():
            files.append(("/".join(parts), path))
    return digest_of_files(files)


# Which commit of a hub model is going to be loaded, asked before loading: one short question, one clear answer.

ORGANISATION = "sentence-transformers"
TIMEOUT = 20.0

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


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
    """Whether `name` has the form `model` or `organisation/model`."""
    return _NAME.fullmatch(name) is not None


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
    from huggingface_hub import constants

    names = [name] if "/" in name else [f"{ORGANISATION}/{name}", name]
    if constants.HF_HUB_OFFLINE:
        for candidate in names:
            if commit := cached_commit(candidate, revision):
                return HubModel(candidate, commit, cached_only=True)
        raise EncoderError(
            f"there is no model {name!r} here: no folder, and none in the cache of hub models" + _at(revision),
            found=_join("HF_HUB_OFFLINE is set, so the hub was not asked", hint),
            remedy="unset HF_HUB_OFFLINE to download it, or name a folder that holds a model",
        )
    return _ask(names, name, revision, hint)


def _ask(names: list[str], name: str, revision: str | None, hint: str | None) -> HubModel:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    failure: Exception | None = None
    for candidate in names:
        try:
            info = HfApi().model_info(candidate, revision=revision, timeout=TIMEOUT)
            return HubModel(info.id, str(info.sha))
        except RevisionNotFoundError as error:
            raise EncoderError(
                f"the model {candidate} has no revision {revision!r}",
                remedy="give --revision a branch, a tag or a commit that its page on the hub lists",
            ) from error
        except GatedRepoError as error:
            failure = error
            break
        except RepositoryNotFoundError as error:
            failure = error
        except Exception as error:  # the network's exceptions differ by version of the hub's client
            failure = error
            break
    for candidate in names:
        if commit := cached_commit(candidate, revision):
            return HubModel(
                candidate,
                commit,
                cached_only=True,
                warning=f"the hub could not be asked about {candidate} ({_first_line(failure)}): the copy in the "
                f"cache was used, commit {commit[:12]}",
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


def cache_folder() -> str | None:
    """Where sentence-transformers keeps hub models when it does not use the hub's own cache."""
    return os.environ.get("SENTENCE_TRANSFORMERS_HOME")


def cached_file(name: str, commit: str | None, filename: str) -> Path | None:
    """A file of a hub model in the cache, None when it is not there."""
    from huggingface_hub import try_to_load_from_cache

    path: Any = try_to_load_from_cache(name, filename, cache_dir=cache_folder(), revision=commit)
    return Path(path) if isinstance(path, str) else None


def cached_commit(name: str, revision: str | None) -> str | None:
    """The commit of a hub model that the cache holds for a revision, None when it holds none."""
    for filename in ("modules.json", "config.json"):
        path = cached_file(name, revision, filename)
        if path is not None:
            return path.parent.name  # <cache>/models--<organisation>--<model>/snapshots/<commit>/<file>
    return None


def _at(revision: str | None) -> str:
    return f" at revision {revision!r}" if revision else ""


def _join(text: str, hint: str | None) -> str:
    return f"{text}; {hint}" if hint else text


def _first_line(error: Exception | None) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
