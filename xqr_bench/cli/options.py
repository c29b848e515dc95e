"""Options that several commands share, each group once, and what its options mean together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import click

from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Commas, Counted, Folder, KeyValues, Option, SectionOption, flag, numbers

if TYPE_CHECKING:
    from xqr_bench.encode import EncoderOptions, VectorStore
    from xqr_bench.encode.options import RerankPool
    from xqr_bench.encode.transform import TransformOptions
    from xqr_bench.evaluation.ray_workers import RayOptions
    from xqr_bench.rank.index import IndexOptions
    from xqr_bench.rank.quantize import QuantizeOptions
    from xqr_bench.tasks import TaskSpec


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """Where the data files of tasks are.

    Attributes:
        data_dir: Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.
    """

    section: ClassVar = "Data"

    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of tests.

    Attributes:
        seed: Of every draw.
        resamples: Of the randomisation tests.
    """

    section: ClassVar = "Random numbers"

    seed: int = 0
    resamples: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Form:
    """In which form tables are printed; for people where none is asked for.

    Attributes:
        as_json: Print everything as JSON.
        as_markdown: Print the tables in Markdown.

    Raises:
        UsageError: two forms are asked for.
    """

    section: ClassVar = "Output"

    as_json: Annotated[bool, Option("--json")] = False
    as_markdown: Annotated[bool, Option("--markdown")] = False

    def __post_init__(self) -> None:
        forms = [name.removeprefix("as_") for name, asked in vars(self).items() if name.startswith("as_") and asked]
        if len(forms) > 1:
            raise UsageError(f"--{forms[0]} and --{forms[1]} exclude each other", remedy="give one of them")


@dataclass(frozen=True, kw_only=True)
class PaperForm(Form):
    """In which form tables are printed, papers included.

    Attributes:
        as_latex: Print a table for a paper, in LaTeX (booktabs): --table says which.
    """

    section: ClassVar = "Output"

    as_latex: Annotated[bool, Option("--latex")] = False


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """The tasks.

    Attributes:
        tasks: Name of a task or path of a task file; repeat for more.
    """

    section: ClassVar = "Tasks"

    tasks: tuple[str, ...] = ("mini",)

    def specs(self) -> list[TaskSpec]:
        """Each task once.

        Raises:
            XqrBenchError: one cannot be found or read.
        """
        from xqr_bench.tasks import resolve_task

        return [resolve_task(task) for task in dict.fromkeys(self.tasks)]


@dataclass(frozen=True, kw_only=True)
class Records(Tasks):
    """The records that a command makes.

    Attributes:
        output: Folder for the records: <output>/<model>/<task>.json.
        overwrite: Evaluate again, and replace the records that exist.
        metrics: Compute these, separated by commas, instead of the metrics of the task.
        no_relevance: Strict relevance only (docs/relevance.md): smaller files.
        full: Print all measures, not one screen.
        quiet: Print nothing but the paths of the records.
        as_json: Print the records as a JSON list.

    Raises:
        UsageError: options that contradict each other.
    """

    section: ClassVar = "Records"

    output: Path = Path("results")
    overwrite: bool = False
    metrics: Commas = None
    no_relevance: bool = False
    full: bool = False
    quiet: bool = False
    as_json: Annotated[bool, Option("--json")] = False

    def __post_init__(self) -> None:
        asked = [
            option
            for option, given in (("--full", self.full), ("--quiet", self.quiet), ("--json", self.as_json))
            if given
        ]
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} exclude each other", remedy="give one of them")


@dataclass(frozen=True, kw_only=True)
class TrecRun:
    """The TREC runs that are written beside the records.

    Attributes:
        trec_run: Also write TREC runs and qrels: DIR/<task>/<setting>.run.gz; the size is told before.
        trec_depth: Candidates a list.
        trec_settings: Only these, separated by commas: monolingual, cross-lingual, multilingual.
    """

    section: ClassVar = "TREC runs"

    trec_run: Annotated[Folder | None, Option(metavar="DIR")] = None
    trec_depth: int = 1000
    trec_settings: Commas = None


@dataclass(frozen=True, kw_only=True)
class Fuse:
    """How the rankings of several MODELs become one.

    Attributes:
        fuse_k: Of fuse:rrf: how soon lower ranks stop counting.  [default: 60]
        fuse_weights: Of each MODEL behind fuse:METHOD, such as 0.7,0.3.  [default: 1 each]
    """

    section: ClassVar = "Several models as one"

    fuse_k: int | None = None
    fuse_weights: Annotated[Sequence[float] | None, Option(metavar="W,W", parse=numbers)] = None

    def chosen_model(self, models: Sequence[str]) -> str:
        """The one MODEL that was named; a fusion with its models as for a shell.

        Raises:
            UsageError: there are several without a fusion, or options of a fusion without one.
        """
        if models[0].startswith("fuse:"):
            return shlex.join(models)
        if len(models) > 1:
            raise UsageError(
                f"one MODEL is scored at a time, not {len(models)}",
                remedy=f"make one ranking of them: xqr-bench evaluate fuse:rrf {shlex.join(models)}",
            )
        given = [flag(name) for name in ("fuse_k", "fuse_weights") if getattr(self, name) is not None]
        if given:
            remedy = "fuse several: xqr-bench evaluate fuse:rrf MODEL MODEL"
            raise UsageError(f"{', '.join(given)} is given without a fusion", remedy=remedy)
        return models[0]


@dataclass(frozen=True, kw_only=True)
class Rerank:
    """A second stage, which ranks the top of MODEL's ranking again.

    Attributes:
        rerank: Rank the top of MODEL's ranking again by this one: a CrossEncoder, an encoder or another ranker
            (docs/reranking.md).
        rerank_depth: How many of each list.  [default: 100]
        rerank_pool: Of which lists: those of each language, or that of the whole pool.  [default: language]
        rerank_add_relevants: Rank the relevants again too, wherever they stand: an upper bound.
        rerank_arg: Option of the second model, such as device=cpu, max_length=256 or revision=v2; repeat for more.
    """

    section: ClassVar = "Second stage"

    rerank: Annotated[str | None, Option(metavar="MODEL")] = None
    rerank_depth: Counted = None
    rerank_pool: Annotated[str | None, Option(metavar="language|pool")] = None
    rerank_add_relevants: bool = False
    rerank_arg: KeyValues = field(default_factory=dict)

    def chosen_pool(self) -> RerankPool:
        """Of which lists the top is ranked again.

        Raises:
            UsageError: there are no such lists.
        """
        if self.rerank_pool not in (None, "language", "pool"):
            raise UsageError(f"--rerank-pool cannot be {self.rerank_pool!r}", remedy="use one of: language, pool")
        return "pool" if self.rerank_pool == "pool" else "language"

    def reranker_options(self) -> EncoderOptions:
        """How the second model is loaded.

        Raises:
            UsageError: an option without --rerank, one that there is not, or a value that cannot be meant.
        """
        from xqr_bench.encode import EncoderOptions

        self.chosen_pool()
        given = [name for name, value in vars(self).items() if name.startswith("rerank_") and value]
        if self.rerank is None and given:
            raise UsageError(
                f"{', '.join(map(flag, given))} is given without --rerank",
                remedy="name what ranks again: --rerank MODEL",
            )
        return EncoderOptions.of_values(self.rerank_arg, "--rerank-arg")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs the encoder.

    Attributes:
        engine: ray: several workers, on this machine or on those of a Ray cluster (docs/scale.md). Default: this
            process alone.
        address: Of a Ray cluster that runs: auto, or HOST:PORT. Default: RAY_ADDRESS, else Ray is started here for this
            run.
        actors: Workers. Default: as many as the cluster has room for.
        num_gpus: GPUs of each worker, 0.5 for two on one. Default: 1 where the cluster has any, else none.
        num_cpus: Processors of each worker. Default: 1.
        exchange: Where workers exchange what they make: a folder that all machines share (so should --cache-dir), or a
            URL such as s3://…. Default: in the folder of the embedding store, which is right on one machine.
    """

    section: ClassVar = "Several workers"

    engine: Annotated[str | None, Option(metavar="ray")] = None
    address: str | None = None
    actors: Counted = None
    num_gpus: float | None = None
    num_cpus: float | None = None
    exchange: Annotated[str | None, Option(metavar="PLACE")] = None

    def chosen_engine(self) -> RayOptions | None:
        """The workers that are asked for; None: none.

        Raises:
            UsageError: there is no such engine, or an option of one is given without it or cannot be meant.
        """
        if self.engine is None:
            given = [flag(one.name) for one in fields(Engine) if getattr(self, one.name) is not None]
            if given:
                raise UsageError(f"{', '.join(given)} is given without --engine", remedy="say which: --engine ray")
            return None
        if self.engine != "ray":
            raise UsageError(f"there is no engine {self.engine!r}", remedy="use --engine ray, or leave it out")
        from xqr_bench.evaluation.ray_workers import RayOptions

        asked: dict[str, Any] = {
            "address": self.address,
            "actors": self.actors,
            "num_gpus": self.num_gpus,
            "num_cpus": self.num_cpus,
        }
        return RayOptions(**{name: value for name, value in asked.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class Transform:
    """What is done to vectors before they are ranked.

    Attributes:
        transform: Change the vectors of each language first: none, center, whiten, remove-K, leace, shift-LANG
            or transport-LANG; in part: center@0.5 (docs/transforms.md).
        transform_from: Estimate it on translated sentences, DIR/<language>.txt, instead of the texts of the task.
    """

    section: ClassVar = "Transforms of the vectors"

    transform: Annotated[str | None, Option(metavar="NAME")] = None
    transform_from: Annotated[Path | None, Option(metavar="DIR")] = None

    def chosen_transform(self) -> TransformOptions | None:
        """The transform that is asked for, None for none.

        Raises:
            UsageError: there is no such transform, or a folder is given without one.
        """
        from xqr_bench.encode.transform import TransformOptions

        return TransformOptions.parse(self.transform, self.transform_from)


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """How vectors are quantised before they are ranked.

    Attributes:
        quantize: Rank quantised vectors: int8, binary or ubinary (docs/quantize.md).
        rescore: Candidates of each list that are scored anew by the unquantised query: a number, 0 for none, or all.
            Default: 40.
    """

    section: ClassVar = "Quantised vectors"

    quantize: Annotated[str | None, Option(metavar="PRECISION")] = None
    rescore: Annotated[str | None, Option(metavar="NUMBER", parse=str)] = None

    def chosen_quantize(self) -> QuantizeOptions | None:
        """The quantisation that is asked for, None for none.

        Raises:
            UsageError: there is no such precision or depth, or a depth is given without one.
        """
        from xqr_bench.rank.quantize import QuantizeOptions

        return QuantizeOptions.parse(self.quantize, self.rescore)


@dataclass(frozen=True, kw_only=True)
class Index:
    """The FAISS index that is ranked through.

    Attributes:
        index: Rank through FAISS: flat (exact), hnsw, ivf or ivfpq. Default: no index, exact.
        index_params: A parameter of the index, such as ef_search=64; repeat for more (docs/faiss.md lists them).
        depth: Hits kept of each language's list; default 1000, flat: all.
        save_index: Save the indices and ids there, for `xqr-bench search DIR`.
    """

    section: ClassVar = "FAISS index"

    index: str | None = None
    index_params: Annotated[tuple[str, ...], Option(metavar="NAME=VALUE")] = ()
    depth: int | None = None
    save_index: Annotated[Path | None, Option(metavar="DIR")] = None

    def chosen_index(self) -> IndexOptions | None:
        """The index that is asked for, None for none.

        Raises:
            UsageError: options that contradict each other, or values that cannot be meant.
        """
        if self.index is None:
            for name in ("index_params", "depth", "save_index"):
                if getattr(self, name) not in (None, ()):
                    raise UsageError(
                        f"{flag(name.removesuffix('s'))} is given without --index",
                        remedy="say which index: --index flat",
                    )
            return None
        from xqr_bench.rank.index import IndexOptions

        return IndexOptions.parse(self.index, self.index_params, self.depth)


@dataclass(frozen=True, kw_only=True)
class StoreFolder:
    """Where the embedding store is.

    Attributes:
        cache_dir: Where vectors are kept. Default: XQR_BENCH_CACHE, else the user's cache folder.
    """

    section: ClassVar = "Vectors kept for later runs"

    cache_dir: Folder | None = None


@dataclass(frozen=True, kw_only=True)
class Store(StoreFolder):
    """The embedding store; it changes no vector, so records do not keep these options.

    Attributes:
        cache: Whether to keep vectors, and take those kept (docs/cache.md). Encoders without revision and digest, and
            objects, are never kept.
        cache_limit: Such as 5GB. Default: XQR_BENCH_CACHE_LIMIT, else 20GB.
    """

    section: ClassVar = "Vectors kept for later runs"

    cache: Annotated[bool, Option("--cache/--no-cache")] = True
    cache_limit: str | None = None

    def chosen_store(self) -> VectorStore | None:
        """The store that is used; None: none.

        Raises:
            UsageError: options that contradict each other, or a limit that is no size.
        """
        from xqr_bench.encode import vector_store

        if self.cache:
            return vector_store(self.cache_dir, self.cache_limit)
        if self.cache_dir is not None or self.cache_limit is not None:
            raise UsageError("--no-cache leaves nothing for --cache-dir and --cache-limit", remedy="leave one out")
        return None


def _backend(ctx: click.Context, option: click.Parameter, backend: str) -> None:
    needs = {"onnx": "optimum-onnx", "openvino": "optimum-intel"}
    if backend in needs:
        raise UsageError(
            f"--backend {backend} cannot be used: sentence-transformers runs it through {needs[backend]}, which does "
            "not install beside the versions of constraints.txt",
            remedy=f"leave it out; or `pip install 'sentence-transformers[{backend}]'` in an environment of its own, "
            "and evaluate the model as an encoder of your own (docs/encoders.md)",
        )
    if backend != "torch":
        raise UsageError(f"there is no backend {backend!r}", remedy="leave --backend out: torch is the only one")


backend_option = click.option(
    "--backend",
    cls=SectionOption,
    section="Encoder",
    default="torch",
    show_default=True,
    expose_value=False,
    callback=_backend,
    help="torch; why no other: docs/encoders.md.",
)
"""An option that only says why it has one value."""


def given(ctx: click.Context) -> dict[str, Any]:
    """The arguments the user gave, without defaults."""
    commandline = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) == commandline}
