"""All that can be done, and refused, before a model is loaded: data, plans, texts of evaluation tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UsageError
from xqr_bench.record.exposure import Findings
from xqr_bench.record.exposure_search import Placed, find_texts
from xqr_bench.tasks import load_task
from xqr_bench.train.batch_files import summary_lines
from xqr_bench.train.batches import make_plan
from xqr_bench.train.config import Source, TrainConfig
from xqr_bench.train.data import load_training_data
from xqr_bench.train.initial import learn_vocabulary, load_base, make_static
from xqr_bench.train.losses import LossContext
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.texts import PlannedTexts, TextTable, distinct_texts
from xqr_bench.train.types import ParallelData
from xqr_bench.train.workspace import TrainCache, Workspace, is_first, of_launcher

VALIDATION_BATCHES = 20
TITLE = "the title of an article of"
TITLES_TOLD = 5


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to begin.

    Attributes:
        data: what is trained on, also where no update is asked for.
        training, alignment, validation: what each goes through; None: there is none.
        vocabulary: further data for a static vocabulary.
        config: what was asked for; with a budget of tokens the updates that it allows stand in its recipe.
        findings: of the tasks that must not be in the data.
    """

    config: TrainConfig
    data: tuple[ParallelData, ...]
    training: PlannedTexts | None
    alignment: PlannedTexts | None
    validation: PlannedTexts | None
    vocabulary: tuple[ParallelData, ...]
    findings: tuple[Findings, ...] = ()

    @property
    def everything(self) -> tuple[ParallelData, ...]:
        """All data whose text enters the weights or the vocabulary."""
        aligned = self.alignment.data if self.alignment else ()
        return (*self.data, *aligned, *self.vocabulary)

    def summary(self) -> list[str]:
        """Lines that tell what the run would do."""
        lines: list[str] = []
        stages = {"alignment": self.alignment, "training": self.training, "validation": self.validation}
        for title, stage in stages.items():
            if stage is not None:
                lines += [f"{title}:", *(f"  {line}" for line in summary_lines(stage.plan, stage.data))]
        if self.training is None:
            lines.append("training: no update")
        if self.config.values.tokens is not None:
            lines.append(f"budget: {self.config.values.tokens:,} tokens allow {self.config.updates:,} updates")
        return [*lines, *(line for findings in self.findings for line in exposure_lines(findings))]


def prepare(config: TrainConfig, cache: TrainCache | None = None) -> Prepared:
    """Read the data, make the plans, look for texts of evaluation tasks.

    Raises:
        UsageError: the output is taken; data that cannot fill the batches or does not suit the loss; texts of a task
            that must not be there.
        DataError: data that is missing or damaged.
    """
    cache = cache or TrainCache()
    if config.output is not None and is_first():  # the others may come when the first has begun to write
        Workspace(Path(config.output)).check(resume=config.resume)
    data = tuple(_load(source, config, cache) for source in config.data)
    bitext = () if config.align is None else (_load(config.align, config, cache, everything=True),)
    vocabulary = tuple(_load(source, config, cache, everything=True) for source in config.vocabulary_texts)
    if config.values.tokens is not None:
        config = _within_budget(config, data, (*data, *bitext, *vocabulary), cache)
    recipe = config.values
    alignment = None
    if bitext:
        steps = recipe.updates if config.align_updates is None else config.align_updates
        if steps:
            asked = PlanRequest(strategy="x-y", steps=steps, batch_size=recipe.batch_size, seed=config.seed)
            plan = make_plan(bitext, asked)
            alignment = PlannedTexts(plan, bitext, 0, _table(bitext, cache))
    training = None
    if recipe.updates:
        plan = make_plan(data, config.plan_request())
        config.chosen_loss.check(recipe, LossContext(data, plan.languages, batch_types=plan.batch_types))
        training = PlannedTexts(plan, data, recipe.negatives, _table(data, cache))
    validation = None if config.validation is None else _validation(config, cache)
    prepared = Prepared(config, data, training, alignment, validation, vocabulary)
    findings = tuple(_look_for(task, prepared, config) for task in dict.fromkeys((*config.zero_shot, *config.look_for)))
    return replace(prepared, findings=findings)


def _within_budget(
    config: TrainConfig, data: tuple[ParallelData, ...], everything: Sequence[ParallelData], cache: TrainCache
) -> TrainConfig:
    """With as many updates as the budget of tokens allows.

    Raises:
        UsageError: it allows none, or the plan or the model do not let it be found.
    """
    from xqr_bench.train.tokens import TextLengths, updates_within

    recipe, table = config.values, _table(data, cache)
    assert recipe.tokens is not None
    if config.static:
        model, _ = make_static(vocabulary_of(everything, recipe.vocabulary, cache), recipe, config.seed)
    else:
        model, _ = load_base(config.base, replace(config.options, device="cpu"), recipe)
    limit = getattr(model, "max_seq_length", None)
    if recipe.train_length is not None:
        model.max_seq_length = recipe.train_length
    lengths = TextLengths.of(model, table, recipe.query_prompt, recipe.passage_prompt)
    if recipe.train_length is not None:
        model.max_seq_length = limit  # it may be the caller's own
    further = getattr(config.chosen_loss.make, "further_queries", None)
    processes = of_launcher("WORLD_SIZE", 1)
    updates = updates_within(
        recipe.tokens,
        config.plan_request(),
        lambda asked: make_plan(data, asked),
        lambda plan: lengths.of_batches(
            PlannedTexts(plan, data, recipe.negatives, table), parts=recipe.parts, further=further, processes=processes
        ),
    )
    config = replace(config, recipe=replace(config.recipe or recipe, updates=updates))
    config.check_save_at()
    return config


def vocabulary_of(data: Sequence[ParallelData], size: int, cache: TrainCache) -> Any:
    """The vocabulary of a static model, learned from all texts of the data."""
    key = (tuple(sorted(part.digest for part in data)), size)
    return cache.get("vocabulary", key, lambda: learn_vocabulary(distinct_texts(data), size))


def _load(source: Source, config: TrainConfig, cache: TrainCache, *, everything: bool = False) -> ParallelData:
    languages = None if everything or config.languages is None else tuple(config.languages)
    if isinstance(source, ParallelData):
        return load_training_data(source, languages=languages)
    limit = None if everything else config.limit
    folder = None if config.data_dir is None else str(config.data_dir)
    key = (str(source), languages, limit, folder, os.environ.get("XQR_BENCH_DATA"))
    return cache.get("data", key, lambda: load_training_data(source, languages=languages, data_dir=folder, limit=limit))


def _table(data: Sequence[ParallelData], cache: TrainCache) -> TextTable:
    return cache.get("texts", tuple(part.digest for part in data), lambda: TextTable.of(data))


def _validation(config: TrainConfig, cache: TrainCache) -> PlannedTexts:
    """The same batches for every ratio and seed: half of them monolingual, all of them where there is one language."""
    assert config.validation is not None
    data = _load(config.validation, config, cache, everything=True)
    recipe = config.values
    size = min(recipe.batch_size, max(2, data.n_questions // 2))
    steps = max(1, min(VALIDATION_BATCHES, data.n_questions * len(data.languages) // size))
    alpha = 1.0 if len(data.languages) == 1 else 0.0 if data.kind == "bitext" else 0.5
    plan = make_plan(data, PlanRequest(alpha=alpha, steps=steps, batch_size=size, seed=0))
    return PlannedTexts(plan, (data,))


def _look_for(task: str, prepared: Prepared, config: TrainConfig) -> Findings:
    """Look for a task's texts in all data of the run, and for its titles also among those of the data's articles.

    An article of the same title is told of and not refused: the title is not trained on, and its text is looked for.
    """
    titles = {f"{TITLE} {part.name}" for part in prepared.everything}
    findings = find_texts(load_task(task, data_dir=config.data_dir), _placed(prepared.everything))
    trained = [one for one in findings.found if (one.exact or one.overlap >= findings.near) and one.place not in titles]
    if task not in config.zero_shot or not trained:
        return findings
    numbers = ", ".join(
        f"{kind.exact} of {kind.total:,} {name}s exactly and {kind.near} nearly"
        for name, kind in findings.counts().items()
        if kind.exact + kind.near
    )
    examples = "; ".join(
        f"{one.kind} {one.language}:{one.id.removeprefix(one.language + ':')} in {one.place}"
        for one in findings.examples(1)
        if one in trained
    )
    raise UsageError(
        f"the training data holds texts of {findings.task}: it would not be zero-shot",
        found=f"{numbers}; such as {examples}",
        remedy=f"take them out of the data (docs/exposure.md), or say --look-for {task}: the record then tells of them",
    )


def exposure_lines(findings: Findings) -> list[str]:
    """Lines that tell which texts of a task are in the data."""
    lines = [
        f"  {name}s: {kind.exact:,} of {kind.total:,} exactly, {kind.near:,} nearly, "
        f"{kind.touched:,} with a run of 8 words"
        for name, kind in findings.counts().items()
        if name != "title" and kind.exact + kind.near + kind.touched
    ]
    places: dict[str, set[str]] = {}
    for one in findings.found:
        if one.kind == "title":
            places.setdefault(one.place, set()).add(one.evaluation_text)
    for place, titles in places.items():
        more = f" and {len(titles) - TITLES_TOLD} more" if len(titles) > TITLES_TOLD else ""
        lines.append(f"  titles: {', '.join(sorted(titles)[:TITLES_TOLD])}{more} ({place})")
    head = f"texts of {findings.task} among {findings.n_texts:,} texts of the data"
    return [f"{head}:", *lines] if lines else [f"{head}: none"]


def _placed(data: Sequence[ParallelData]) -> Iterator[Placed]:
    """Every distinct text with its place; then the titles of articles, so that a text's own place comes before."""
    seen: set[str] = set()
    for part in data:
        for text, place in part.texts():
            if text not in seen:
                seen.add(text)
                yield Placed(text, f"{part.name}, {place}")
    for part in data:
        for title in dict.fromkeys(title for titles in part.titles for title in titles):
            yield Placed(title, f"{TITLE} {part.name}")


def as_json(value: Any) -> Any:
    """A value as the training record keeps it: a source by its name, a path as text."""
    if isinstance(value, ParallelData):
        return value.source or value.name
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    return str(value) if isinstance(value, Path) else value
