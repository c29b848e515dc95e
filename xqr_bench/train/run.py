"""train(): from what is asked for to a model on disk and its record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xqr_bench.core.checked import checked
from xqr_bench.core.observe import Clock, Observer, library_bars_hidden
from xqr_bench.encode import choose_device
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.record import provenance
from xqr_bench.record.provenance import BaseModelInfo, DataInfo, LanguageLevels, Stage, TrainingRecord, save_training
from xqr_bench.train.adapters import add_adapters, merge_adapters, merged
from xqr_bench.train.batch_files import plan_statistics
from xqr_bench.train.config import PLAN_SETTINGS, TrainConfig
from xqr_bench.train.initial import copy_model, load_base, make_static, weights_digest
from xqr_bench.train.losses import choose_loss, told
from xqr_bench.train.plans import STRATEGIES
from xqr_bench.train.prepare import Prepared, as_json, exposure_lines, prepare, vocabulary_of
from xqr_bench.train.recipe import INFONCE
from xqr_bench.train.stage import Outcome, StageOptions, run_stage
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.types import ParallelData
from xqr_bench.train.workspace import TrainCache, Workspace, is_first, of_launcher

# A trained model on disk: a sentence-transformers folder with its training record and a card.


def save_model(model: Any, record: TrainingRecord, folder: Path) -> Path:
    """Save a SentenceTransformer, its record and its card in a folder, made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with library_bars_hidden():
        model.save_pretrained(str(folder), create_model_card=False)
    (folder / "README.md").write_text(card(record), encoding="utf-8", newline="\n")
    save_training(record, folder)
    return folder


def card(record: TrainingRecord) -> str:
    """What the model is, in Markdown. Nothing in it depends on when or where the model was made."""
    languages = record.languages
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "language:",
        *(f"- {code}" for code in languages.trained + languages.aligned_only),
        "---",
        "",
        "# A retrieval encoder trained with a given batch ratio",
        "",
        f"Made by `xqr-bench train` from `{record.base.name}`, recipe `{record.recipe['name']}`, seed {record.seed}.",
        "",
        f"- Loss: `{record.recipe['loss']}`{told(record.recipe['loss_args'])} ({record.loss['origin']}).",
    ]
    for title, stage in (("Alignment", record.alignment), ("Training", record.training)):
        if stage is not None:
            lines.append(f"- {title}: {_sentence(stage)}")
    lines += [
        f"- Trained languages: {', '.join(languages.trained) or 'none'}; "
        f"aligned only: {', '.join(languages.aligned_only) or 'none'}.",
        f"- Put before each query: `{record.recipe['query_prompt']}`; before each passage: "
        f"`{record.recipe['passage_prompt']}` (`encode_query` and `encode_document` do).",
        "",
        "`xqr_bench_training.json` holds all of it; `xqr-bench evaluate` puts it into its records.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("this/folder")',
        'queries, passages = model.encode_query(["..."]), model.encode_document(["..."])',
        "scores = model.similarity(queries, passages)",
        "```",
        "",
    ]
    return "\n".join(lines)


def _sentence(stage: Stage) -> str:
    names = ", ".join(f"{data.name} ({data.questions:,} questions)" for data in stage.data)
    return (
        f"{names}; plan `{stage.strategy}`, {stage.statistics['ratio_rows']:.1%} of the rows in one language; "
        f"{stage.updates:,} updates, {stage.statistics['rows']:,} rows."
    )


# train(): from what is asked for to a model and its record.


@dataclass(frozen=True)
class TrainResult:
    """What a run gives.

    Attributes:
        model: the SentenceTransformer, ready to encode.
        record: how it was made.
        folder: where it was saved, with its record; None: nowhere.
        prepared: its data and plans.
    """

    model: Any
    record: TrainingRecord
    folder: Path | None
    prepared: Prepared

    def summary(self) -> list[str]:
        """Lines that tell what was done."""
        lines = []
        for name, stage in (("alignment", self.record.alignment), ("training", self.record.training)):
            if stage is not None:
                rows = stage.statistics
                note = f", stopped early; best at {stage.best_update}" if stage.stopped_early else ""
                lines.append(
                    f"{name}: {stage.updates:,} updates{note}, {rows['rows']:,} rows, "
                    f"{stage.tokens:,} tokens ({stage.padded_tokens:,} with padding), "
                    f"{rows['distinct_pairs']:,} distinct pairs (each {rows['repeats_mean']:.1f} times), "
                    f"loss {stage.loss[0][1]:.3f} to {stage.loss[-1][1]:.3f}, {stage.seconds:.1f} s"
                )
        lines += [line for findings in self.prepared.findings for line in exposure_lines(findings)]
        return [*lines, f"weights: {self.record.weights_digest[:16]}", f"model: {self.folder}"]


Kept = Callable[[int, Any, TrainingRecord], None]
"""Called with the number of updates done, the model as it is then, and its record."""


@checked
def train(
    config: TrainConfig,
    *,
    cache: TrainCache | None = None,
    observe: Observer | None = None,
    on_kept: Kept | None = None,
    evaluator: Any = None,
    callbacks: Sequence[Any] = (),
    arguments: dict[str, Any] | None = None,
    save: bool = True,
) -> TrainResult:
    """Train an encoder by contrastive learning on the batches of a plan.

    The same arguments on the same machine with the same number of threads give the same weights, bit for bit on a
    CPU, also when the run was stopped and resumed.

    Args:
        config: what is asked for.
        cache: shared by several runs in one process; it saves reading, tokenising and aligning again.
        observe: hears how far the run is.
        on_kept: called at each update of `config.save_at`.
        evaluator: a sentence-transformers evaluator that scores the model at each validation.
        callbacks: `TrainerCallback`s of transformers for the training; they have to leave model and batches alone.
        arguments: as the user gave them, for the record.
        save: False: `config.output` is only where checkpoints to resume from stand until the end; no model is written
            there, and runs that share a cache align once.

    Returns:
        the model and how it was made.

    Raises:
        XqrBenchError: whatever is wrong with arguments, data, base or place, before any model is loaded where it can
            be known by then; a loss that is no number.
    """
    shared, cache, clock = cache is not None, cache or TrainCache(), Clock()
    if config.options.device is not None:
        choose_device(config.options.device)
    with clock.phase("preparing"):
        prepared = prepare(config, cache)
    config = prepared.config  # with the updates of a budget
    observe, arguments = observe or Observer(), arguments or {}
    run = _Run(config, prepared, cache, shared, clock, observe, on_kept, evaluator, arguments, save)
    run.callbacks = callbacks
    return run.go()


@dataclass
class _Run:
    config: TrainConfig
    prepared: Prepared
    cache: TrainCache
    shared: bool
    clock: Clock
    observe: Observer
    on_kept: Kept | None
    evaluator: Any
    arguments: dict[str, Any]
    save: bool
    callbacks: Sequence[Any] = ()

    def __post_init__(self) -> None:
        config = self.config
        self.place = None if config.output is None else Workspace(Path(config.output).expanduser())
        self.recipe = config.values
        self.loss = config.chosen_loss.identity()
        self.device = config.options.device or ("cpu" if config.static else None)
        self.last: Outcome | None = None
        self.alignment: Stage | None = None
        self.first = is_first()
        self.digest: tuple[int, str] | None = None
        self.facts = provenance.versions()

    def go(self) -> TrainResult:
        """Do all of it."""
        with self.clock.phase("loading the model"):
            model, self.base = self._initial()
        with self.place.begun(self._asked()) if self.place is not None and self.first else nullcontext():
            return self._train(model)

    def _train(self, model: Any) -> TrainResult:
        if self.prepared.alignment is not None:
            with self.clock.phase("alignment"):
                self.alignment = self._align(model, self.prepared.alignment)
        training = None
        if self.prepared.training is not None:
            if self.recipe.lora:
                add_adapters(model, self.recipe.lora, self.config.seed)
            with self.clock.phase("training"):
                outcome = self._stage(model, self.prepared.training, "training", self.config.checkpoint_every)
            training = _record_stage(self.prepared.training, outcome)
            if self.recipe.lora:
                merge_adapters(model)
        record = self._record(model, training, None)
        model.eval()
        folder = None
        if self.place is not None and self.first and self.save:
            save_model(model, record, self.place.model)
            folder = self.place.finish()
        elif self.place is not None and self.first:
            self.place.discard()
        return TrainResult(model, record, folder, self.prepared)

    def _initial(self) -> tuple[Any, BaseModelInfo]:
        config = self.config
        if not config.static:
            return self._loaded(replace(config.options, device=self.device))
        tokenizer = vocabulary_of(self.prepared.everything, self.recipe.vocabulary, self.cache)
        return make_static(tokenizer, self.recipe, config.seed)

    def _loaded(self, options: EncoderOptions) -> tuple[Any, BaseModelInfo]:
        """The base; runs that share a cache read its files and take their digest once, and train copies of it."""
        base = self.config.base
        if not self.shared or not isinstance(base, str | Path):
            return load_base(base, options, self.recipe)
        key = (str(base), str(options), str(self.recipe.values()))
        pristine, info = self.cache.get("base", key, lambda: load_base(base, options, self.recipe))
        return copy_model(pristine), info

    def _asked(self) -> dict[str, Any]:
        """All that the weights depend on."""
        stages = {name: getattr(self.prepared, name) for name in ("validation", "training", "alignment")}
        return {
            "recipe": self.recipe.values(),
            "loss": self.loss,
            "seed": self.config.seed,
            "base": self.base.model_dump(mode="json", exclude={"training"}),
            "processes": of_launcher("WORLD_SIZE", 1),
            "save at": sorted(self.config.save_at),
            **({} if self.config.gather else {"gather": False}),
            **{name: None if stage is None else stage.plan.digest() for name, stage in stages.items()},
        }

    def _align(self, model: Any, stage: PlannedTexts) -> Stage:
        """Train on bitext; runs that share a cache and all that matters do it once."""
        base = (self.base.vocabulary_digest, self.base.digest, self.base.name, self.base.revision)
        known = any((self.base.vocabulary_digest, self.base.digest, self.base.revision))
        alone = self.place is None if self.config.static else not self.save
        if not alone or not known or of_launcher("WORLD_SIZE", 1) > 1:
            return _record_stage(stage, self._stage(model, stage, "alignment", self.config.checkpoint_every))
        ignored = {"name", "updates", "patience", "validate_every", "negatives"}
        ignored |= {"loss", "loss_args", "matryoshka", "lora"}  # of the training alone
        values = {name: value for name, value in self.recipe.values().items() if name not in ignored}
        kind = None if self.device is None else self.device.partition(":")[0]
        key = (base, self.config.seed, str(values), stage.plan.digest(), kind)

        def aligned() -> tuple[dict[str, Any], Outcome]:
            every = 0 if self.place is None else self.config.checkpoint_every
            outcome = self._stage(model, stage, "alignment", every)
            return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}, outcome

        state, self.last = self.cache.get("aligned", key, aligned)
        model.load_state_dict(state)
        return _record_stage(stage, self.last)

    def _stage(self, model: Any, stage: PlannedTexts, name: str, every: int) -> Outcome:
        training = name == "training"
        options = StageOptions(
            recipe=self.recipe if training else replace(self.recipe, negatives=0, patience=0, matryoshka=()),
            loss=self.config.chosen_loss if training else choose_loss(INFONCE, {}),
            seed=self.config.seed,
            device=self.device,
            folder=None if self.place is None else self.place.folder / name,
            checkpoint_every=every,
            workers=self.config.workers,
            gather=self.config.gather,
            observe=self.observe,
            keep_at=self.config.save_at if training else (),
            keep=(lambda outcome: self._keep(model, outcome)) if training else None,
            validation=self.prepared.validation if training else None,
            evaluator=self.evaluator if training else None,
            callbacks=self.callbacks if training else (),
        )
        with self.observe.phase("training" if training else "aligning", stage.plan.steps):
            self.last = run_stage(model, stage, options, self.cache)
        return self.last

    def _keep(self, model: Any, outcome: Outcome) -> None:
        """Save the model as it is now, and show it; the end is saved by the run itself."""
        stage, step = self.prepared.training, outcome.updates
        assert stage is not None
        outcome, trained, model = replace(outcome, stopped_early=False), model, merged(model)
        record = self._record(model, _record_stage(stage, outcome), None if step == self.config.updates else step)
        if self.place is not None and self.first and self.save and step < self.config.updates:
            save_model(model, record, self.place.model / f"checkpoint-{step}")
        if self.on_kept is not None:
            was = trained.training
            model.eval()
            self.on_kept(step, model, record)
            trained.train(was)

    def _record(self, model: Any, training: Stage | None, checkpoint: int | None) -> TrainingRecord:
        config, prepared = self.config, self.prepared
        hybrid = config.strategy == "hybrid"  # the other strategies have an alpha of their own, which says their name
        last = self.last
        settings = {name: getattr(config, name) for name in (*PLAN_SETTINGS, "limit", "align_updates")}
        settings |= {name: as_json(getattr(config, name)) for name in ("data", "align", "validation", "languages")}
        return TrainingRecord(
            recipe=self.recipe.values(),
            loss=self.loss,
            ratio=STRATEGIES.get("hybrid").alpha if config.alpha is None and hybrid else config.alpha,
            seed=config.seed,
            base=self.base,
            alignment=self.alignment,
            training=training,
            validation_data=[] if prepared.validation is None else _data_info(prepared.validation.data),
            languages=_levels(prepared, static=config.static),
            checkpoint=checkpoint,
            processes=last.processes if last else 1,
            gathered=bool(last and last.gathered),
            weights_digest=self._digest(model, training),
            exposure={findings.task: findings.to_json() for findings in prepared.findings},
            arguments=self.arguments or settings,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            **self.facts,
            hardware=provenance.hardware(last.device if last else str(model.device)),
            seconds=dict(self.clock.seconds),
        )

    def _digest(self, model: Any, training: Stage | None) -> str:
        """SHA-256 of the weights; those of a number of updates are read once."""
        updates = 0 if training is None else training.updates
        best = training is not None and training.best_update is not None  # of an earlier update, loaded at the end
        if self.digest is None or self.digest[0] != updates or best:
            self.digest = updates, weights_digest(model)
        return self.digest[1]


def _record_stage(stage: PlannedTexts, outcome: Outcome) -> Stage:
    plan = stage.plan
    return Stage(
        data=_data_info(stage.data),
        strategy=plan.strategy,
        plan=dict(plan.arguments),
        plan_digest=plan.digest(),
        statistics=asdict(plan_statistics(plan, stage.data, outcome.updates)),
        planned_updates=plan.steps,
        **{name: value for name, value in vars(outcome).items() if name in Stage.model_fields},
    )


def _data_info(data: Sequence[ParallelData]) -> list[DataInfo]:
    names = set(DataInfo.model_fields) - {"questions"}
    return [DataInfo(**{name: getattr(part, name) for name in names}, questions=part.n_questions) for part in data]


def _levels(prepared: Prepared, *, static: bool) -> LanguageLevels:
    stages = (prepared.data if prepared.training else (), prepared.alignment.data if prepared.alignment else ())
    trained, aligned, words = (
        sorted({code for part in data for code in part.languages})
        for data in (*stages, prepared.everything if static else ())
    )
    return LanguageLevels(
        trained=trained,
        aligned_only=[code for code in aligned if code not in trained],
        vocabulary_only=[code for code in words if code not in (*trained, *aligned)],
    )
