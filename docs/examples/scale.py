"""Hours, bytes and cost of an evaluation in shards (`xqr-bench evaluate --shard I/N`), from what a passage costs.

    python scale.py                                  # the tables of docs/scale.md
    python scale.py --gpu-tokens 1000000 --price 2   # with numbers of your own

Needs nothing but Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

MIRACL: dict[str, tuple[int, int]] = {
    "ar": (2_061_414, 2_896),
    "bn": (297_265, 411),
    "de": (15_866_222, 305),
    "en": (32_893_221, 799),
    "es": (10_373_953, 648),
    "fa": (2_207_172, 632),
    "fi": (1_883_509, 1_271),
    "fr": (14_636_953, 343),
    "hi": (506_264, 350),
    "id": (1_446_315, 960),
    "ja": (6_953_614, 860),
    "ko": (1_486_752, 213),
    "ru": (9_543_918, 1_252),
    "sw": (131_924, 482),
    "te": (518_079, 828),
    "th": (542_166, 733),
    "yo": (49_043, 119),
    "zh": (4_934_368, 393),
}
"""Language -> passages and queries of the development set: Zhang et al. 2023 (arXiv 2210.09984), table 1."""


@dataclass(frozen=True)
class Costs:
    """What a passage costs.

    The first ones are measured, by tests/benchmarks/bench_constants.py on one thread of a busy Intel Xeon, with the
    passages of AfriQA, of some 110 words, and multilingual-e5-small; the last four are assumptions.

    Attributes:
        text_bytes: of a passage, UTF-8.
        memory_bytes: of a passage in a process: where its text and id stand in a file, and digests while they are
            compared.
        passage_tokens: of a passage.
        dimensions: of a vector, 4 bytes each.
        beside_bytes: of a passage in the files of shards, beside its vector: token count, digest, checksum, number and
            flags.
        read_seconds: to read and check a megabyte of text, on one core.
        tokenise_seconds: of a passage, on one core.
        count_nanoseconds: of a query, a candidate and a dimension, on one core.
        gpu_tokens: that a GPU encodes a second.
        cores: that each GPU has beside it.
        network: bytes a second that a process reads from the shared folder.
        price: of a GPU and its cores for an hour.
    """

    text_bytes: float = 700
    memory_bytes: float = 325
    passage_tokens: float = 174
    dimensions: int = 384
    beside_bytes: float = 35
    read_seconds: float = 0.155
    tokenise_seconds: float = 0.0012
    count_nanoseconds: float = 0.075
    gpu_tokens: float = 45_000
    cores: int = 8
    network: float = 1e9
    price: float = 3.0


@dataclass(frozen=True)
class Reckoned:
    """What an evaluation takes on so many GPUs, a shard each.

    Attributes:
        gpus: how many.
        fixed_hours: that every shard takes, however many there are: it reads all texts.
        encode_hours, count_hours: of each shard, for its share; tokens are counted before they are encoded.
        hours: in all.
        moved_bytes: texts to every shard, vectors to the shared folder and back, what stands beside them to all.
        memory_bytes: of each process, beside the vectors, which are read where they are wanted.
        gpu_hours: that are paid.
        cost: at the price.
    """

    gpus: int
    fixed_hours: float
    encode_hours: float
    count_hours: float
    hours: float
    moved_bytes: float
    memory_bytes: float
    gpu_hours: float
    cost: float


def reckon(collection: Mapping[str, tuple[int, int]], gpus: int, costs: Costs | None = None) -> Reckoned:
    """What an evaluation takes in which every query is ranked against all passages.

    Args:
        collection: language -> passages and queries.
        gpus: shards, each with a GPU of its own.
        costs: of a passage; default: those of `Costs`.
    """
    costs = costs or Costs()
    passages = sum(candidates for candidates, _ in collection.values())
    queries = sum(of_language for _, of_language in collection.values())
    vector = 4 * costs.dimensions
    beside = gpus * passages * costs.beside_bytes
    fixed = passages * costs.text_bytes * costs.read_seconds / 1e6
    fixed += passages * (costs.text_bytes + costs.beside_bytes) / costs.network
    encode = passages * (costs.tokenise_seconds / costs.cores + costs.passage_tokens / costs.gpu_tokens) / gpus
    count = passages * queries * costs.dimensions * costs.count_nanoseconds * 1e-9 / (gpus * costs.cores)
    hours = (fixed + encode + count) / 3600
    return Reckoned(
        gpus=gpus,
        fixed_hours=fixed / 3600,
        encode_hours=encode / 3600,
        count_hours=count / 3600,
        hours=hours,
        moved_bytes=gpus * passages * costs.text_bytes + 2 * passages * vector + beside,
        memory_bytes=passages * (costs.memory_bytes + costs.beside_bytes),
        gpu_hours=gpus * hours,
        cost=gpus * hours * costs.price,
    )


HEADS = ("GPUs", "every shard, h", "encoding, h", "hours in all", "GPU-hours", "price", "GB moved")


def table(collection: Mapping[str, tuple[int, int]], gpus: Sequence[int], costs: Costs | None = None) -> Iterator[str]:
    """A table in Markdown, a row a number of GPUs, and a line of what does not depend on it."""
    yield f"| {' | '.join(HEADS)} |"
    yield "|" + "---:|" * len(HEADS)
    for number in gpus:
        one = reckon(collection, number, costs)
        hours = (one.fixed_hours, one.encode_hours, one.hours, one.gpu_hours)
        cells = ["<0.1" if value < 0.1 else f"{value:.1f}" for value in hours]
        yield f"| {number} | {' | '.join(cells)} | {one.cost:,.0f} | {one.moved_bytes / 1e9:,.0f} |"
    one = reckon(collection, 1, costs)
    yield f"\nMemory of each process: {one.memory_bytes / 1e9:,.1f} GB. Counting: {one.count_hours:.2f} GPU-hours."


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--languages", nargs="+", choices=MIRACL, help="one table of these; default: en, then all")
    for one in fields(Costs):
        parser.add_argument("--" + one.name.replace("_", "-"), type=type(one.default), default=one.default)
    given = parser.parse_args()
    costs = Costs(**{one.name: getattr(given, one.name) for one in fields(Costs)})
    for languages in [given.languages] if given.languages else (["en"], list(MIRACL)):
        chosen = {language: MIRACL[language] for language in languages}
        millions = sum(passages for passages, _ in chosen.values()) / 1e6
        named = " ".join(languages) if len(languages) < 5 else f"{len(languages)} languages"
        print(f"{named}: {millions:,.1f} million passages\n")
        print("\n".join([*table(chosen, given.gpus, costs), ""]))


if __name__ == "__main__":
    main()
