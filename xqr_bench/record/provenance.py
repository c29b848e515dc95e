"""Facts of a run, and of the training that made a model."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench import __version__
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import TRAINING_FILE, write_text
from xqr_bench.core.memory import usable_cores
from xqr_bench.core.types import TaskData
from xqr_bench.record.exposure import UNKNOWN, Exposure, FoundTexts

# Facts of the run that every record carries: code, packages, machine.

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "faiss-cpu",
    "bm25s",
    "pytrec-eval-terrier",
    "pyarrow",
)


def _package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a figure."""
    installed = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def _code_state() -> tuple[str | None, bool | None]:
    """Git commit of the checkout this code runs from, and whether it has uncommitted changes.

    (None, None) when it runs from an installed package.
    """
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None, None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def hardware(device: str | None) -> dict[str, Any]:
    """Processor, cores, memory, and the device the encoder ran on."""
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.release()}",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    if device is not None:
        facts["device"] = device
    return facts


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def versions() -> dict[str, Any]:
    """The fields of a record's provenance that do not depend on the run."""
    commit, dirty = _code_state()
    return {
        "code_version": __version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "packages": _package_versions(),
    }


# The training record: how an encoder was made, saved in its folder, found there by `evaluate`.

TRAINING_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BaseModelInfo(_Part):
    """What training started from."""

    spec: str = Field(description="as the user named it")
    kind: str = Field(description="`static`, `folder`, `hub` or `object`")
    name: str
    revision: str | None = None
    digest: str | None = Field(default=None, description="SHA-256 over the files of a folder")
    parameters: int
    dimensions: int | None = None
    vocabulary_digest: str | None = Field(default=None, description="of a static model's vocabulary")
    training: dict[str, Any] | None = Field(default=None, description="its own training record, where it has one")


class DataInfo(_Part):
    """One set of training data."""

    name: str
    source: str
    kind: str = Field(description="`retrieval` or `bitext`")
    digest: str = Field(description="SHA-256 of all that training sees")
    files: dict[str, str] = Field(default_factory=dict, description="file -> SHA-256")
    languages: list[str]
    questions: int
    partial: dict[str, Any] = Field(default_factory=dict)


class Stage(_Part):
    """One training: data, plan, and what came of them."""

    data: list[DataInfo]
    strategy: str
    plan: dict[str, Any] = Field(description="arguments of the batch plan")
    plan_digest: str
    statistics: dict[str, Any] = Field(
        description="of the batches that were trained on: rows, distinct pairs, repeats per pair, rows by language"
    )
    updates: int = Field(description="optimizer steps done, of those planned in `planned_updates`")
    planned_updates: int
    tokens: int = Field(
        description="tokens seen on both sides, prompts and what the loss encoded beside the batch counted, padding not"
    )
    padded_tokens: int | None = Field(
        default=None, description="the same with padding: what the model computed; null: not counted by this version"
    )
    loss: list[tuple[int, float]] = Field(description="update -> mean loss since the last entry")
    validation: list[tuple[int, float]] = Field(default_factory=list, description="update -> validation loss")
    stopped_early: bool = False
    best_update: int | None = Field(default=None, description="whose weights were kept, with early stopping")
    seconds: float = Field(description="wall time, over all starts of a run that was resumed")
    resumed_at: list[int] = Field(default_factory=list, description="updates at which a stopped run went on")


LANGUAGE_LEVELS = ("trained", "aligned only", "vocabulary only", "untouched")


class LanguageLevels(_Part):
    """What text of a language entered this training; what the initial model had seen before is not known here."""

    trained: list[str] = Field(description="retrieval data of it was trained on")
    aligned_only: list[str] = Field(description="only in the alignment")
    vocabulary_only: list[str] = Field(default_factory=list, description="only in the text of a static vocabulary")

    def level(self, language: str) -> str:
        """`trained`, `aligned only`, `vocabulary only` or `untouched`: no text of it entered any of these."""
        levels = {"trained": self.trained, "aligned only": self.aligned_only, "vocabulary only": self.vocabulary_only}
        return next((level for level, members in levels.items() if language in members), "untouched")


class TrainingRecord(_Part):
    """How an encoder was made."""

    model_config = ConfigDict(extra="forbid", title="xqr-bench training record")

    training_version: int = TRAINING_VERSION
    recipe: dict[str, Any] = Field(description="all values of the recipe")
    loss: dict[str, Any] = Field(
        default_factory=dict, description="what brings the loss of the recipe, and what its arguments name elsewhere"
    )
    ratio: float | None = Field(description="share of monolingual batches; null: of a strategy without one")
    seed: int
    base: BaseModelInfo
    alignment: Stage | None = None
    training: Stage | None = Field(description="null: no update was asked for")
    validation_data: list[DataInfo] = Field(default_factory=list)
    languages: LanguageLevels
    checkpoint: int | None = Field(default=None, description="updates done, where this is not the end of the training")
    processes: int = 1
    gathered: bool = Field(default=False, description="whether the passages of all processes were negatives")
    weights_digest: str = Field(description="SHA-256 over names, shapes, types and bytes of the weights")
    exposure: dict[str, Any] = Field(default_factory=dict, description="task -> what the data holds of its texts")
    arguments: dict[str, Any] = Field(default_factory=dict, description="as given")
    created: str = Field(description="UTC, ISO 8601")
    code_version: str
    commit: str | None = None
    dirty: bool | None = None
    python: str
    packages: dict[str, str]
    hardware: dict[str, Any]
    seconds: dict[str, float] = Field(description="wall time of each phase of the last start")


def save_training(record: TrainingRecord, folder: Path) -> Path:
    """Write the record into a model's folder, whole or not at all."""
    path = folder / TRAINING_FILE
    write_text(path, json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return path


def load_training(folder: Path) -> TrainingRecord | None:
    """The training record in a model's folder; None where there is none.

    Raises:
        RecordError: there is one that cannot be read, or of a newer version.
    """
    path = folder / TRAINING_FILE
    try:
        data = strict_json.read(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is not a training record: {error}", remedy="remove it, or train again") from error
    version = data.get("training_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > TRAINING_VERSION:
        raise RecordError(
            f"{path} has the version {version}",
            found=f"this xqr-bench reads versions up to {TRAINING_VERSION}",
            remedy="update xqr-bench",
        )
    try:
        return strict_json.validate(TrainingRecord, data)
    except ValidationError as error:
        raise RecordError(
            f"{path} is not a training record: {strict_json.first_fault(error)}", remedy="remove it, or train again"
        ) from error


def training_of(source: str | None) -> TrainingRecord | None:
    """The training record of what a MODEL string names; None where it is no folder, or has none.

    Raises:
        RecordError: there is one that cannot be read.
    """
    folder = None if source is None else Path(source).expanduser()
    return load_training(folder) if folder is not None and folder.is_dir() else None


def exposure_of(training: TrainingRecord, data: TaskData) -> Exposure:
    """What a training means for a task, whatever the initial model had seen."""
    searched = training.exposure.get(data.name)
    return Exposure(
        level=(searched or {}).get("level") or UNKNOWN,
        declared_by="training record",
        languages={code: training.languages.level(code) for code in data.all_languages},
        found=None if searched is None else FoundTexts.model_validate(searched),
    )
