"""What the shards of a run have to agree in, and what the last bits of their numbers depend on beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import xqr_bench.rank.product as tiles
from xqr_bench import __version__
from xqr_bench.core.errors import RecordError
from xqr_bench.core.folder import SharedFolder
from xqr_bench.core.types import TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.bound import MOST_LANES, TextEncoder
from xqr_bench.encode.options import ROLES
from xqr_bench.encode.shards import library_versions
from xqr_bench.encode.shares import shelved
from xqr_bench.encode.texts import items_of
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.counting import PROCESSOR, device_name
from xqr_bench.record import provenance
from xqr_bench.record.describe import task_info


def run_facts(ranker: VectorRanker, tasks: Sequence[Task], of: int) -> dict[str, str]:
    """What decides the ranks, and how they are dealt out: name -> value, as texts."""
    encoder = ranker.encoder
    facts = {
        "version of xqr-bench": __version__,
        "number of shards": str(of),
        "grid of tiles": f"{tiles.TILE_ROWS} queries by {tiles.TILE_COLUMNS} candidates",
        "model": ranker.name,
        **identity_facts(encoder.identity),
        "zero vectors": "allowed" if ranker.allow_zero_vectors else "refused",
    }
    if isinstance(encoder, TextEncoder):
        facts["batches"] = str(encoder.limits)
        facts["embedding store"] = "used" if shelved(encoder, ranker.store) else "not used"
        if encoder.identity.endpoint is None:
            facts |= {f"version of {name}": str(version) for name, version in library_versions().items()}
    facts["tasks"] = ", ".join(task.spec.name for task in tasks)
    for task in tasks:
        facts |= task_facts(task)
    return facts


def identity_facts(identity: ModelIdentity) -> dict[str, str]:
    """What an encoder's vectors depend on, but what is known only once something was encoded."""
    learnt = {"dimensions"} | ({"dtype"} if identity.kind == "precomputed" else set())
    return {
        f"the encoder's {key}": json.dumps(value, sort_keys=True, default=str)
        for key, value in identity.model_dump(mode="json").items()
        if key not in learnt
    }


def task_facts(task: Task) -> dict[str, str]:
    """What a task's ranks depend on: its description, and a digest of all its texts and relevants."""
    said = task_info(task.spec, task.data).model_dump(mode="json", exclude={"metrics"})  # of ranks that are there
    said |= {"relevance": list(task.spec.relevance), "texts": content_digest(task.data)}
    return {f"{task.spec.name}: {key}": json.dumps(value, sort_keys=True) for key, value in said.items()}


def content_digest(data: TaskData) -> str:
    """BLAKE2b over ids, texts and relevants of a task."""
    digest = hashlib.blake2b(digest_size=16)
    for role in ROLES:
        for item in items_of(data, role):
            digest.update(f"{item.id}\0{item.language}\0{item.text}\n".encode("utf-8", "surrogatepass"))
    digest.update(data.positions.astype("<i8").tobytes())
    digest.update(data.row_gains.astype("<f8").tobytes())
    return digest.hexdigest()


def refuse_other_numbers(folder: SharedFolder, files: Mapping[str, tuple[int, int, str]], of: int) -> None:
    """Check that all files are of a run in so many shards.

    Raises:
        RecordError: one is not.
    """
    for name, (number, others, _) in files.items():
        if others != of or number > of:
            raise RecordError(
                f"{folder.place_of(name)} is shard {number} of {others}, of a run in another number of shards than "
                f"{of}",
                remedy=f"if the run has {others} shards, say so: --shard {number}/{others}; if not, remove that file, "
                "or keep the shards of each run in a folder of their own",
            )


def machine(ranker: VectorRanker) -> dict[str, str]:
    """What the last bits of vectors and scores depend on, beside the facts of the run."""
    from threadpoolctl import threadpool_info

    libraries = [one for one in threadpool_info() if one["user_api"] == "blas"]
    of_numpy = [one for one in libraries if "numpy" in Path(one["filepath"]).parent.name] or libraries[:1]
    hardware = provenance.hardware(ranker.device)
    device, threads = ranker.device or "none", "1"
    if device == PROCESSOR and ranker.identity.kind == "sentence-transformers":
        import torch

        threads = str(max(1, torch.get_num_threads() // MOST_LANES))  # see `cpu_lanes`
    return {
        "processor": f"{hardware['processor']}",
        "BLAS": ", ".join(
            f"{one['internal_api']} {one['version']} {one.get('architecture', '')}".strip() for one in of_numpy
        ),
        "device of the encoder": device_name(device) if device.startswith("cuda") else device,
        "threads of a batch": threads,
    }
