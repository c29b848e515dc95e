"""A checked record -> a row of the leaderboard; and who cannot be told apart from the best."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from xqr_bench.board.attestation import is_of_sweep
from xqr_bench.board.facts import board_tasks
from xqr_bench.board.files import attestation_path, ranks_path
from xqr_bench.board.identity import BOUNDS, is_proved_ours, stated_exposure
from xqr_bench.board.model import (
    AttestationSummary,
    Bias,
    ExposureClass,
    Figures,
    Kind,
    LanguageTexts,
    Protocol,
    ProvenanceSummary,
    RelevanceFigures,
    Representation,
    Reproduce,
    Row,
    SettingFigures,
    Standing,
    Tests,
    Verdict,
    shortened,
)
from xqr_bench.board.submissions import attestation_of
from xqr_bench.core.files import atomic_path
from xqr_bench.core.options import flag
from xqr_bench.core.types import MAIN_METRIC, MULTILINGUAL, SETTINGS, Ranks
from xqr_bench.encode import ModelIdentity, vector_store
from xqr_bench.encode.kinds import KINDS
from xqr_bench.evaluation.fused import K
from xqr_bench.measure.certainty import MACRO, SEED, figures_of
from xqr_bench.measure.contest import Contribution, contest_tests
from xqr_bench.measure.linear import ALPHA
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.paired import (
    NOT_SIGNIFICANT,
    QUESTION_ONLY,
    SIGNIFICANT,
    TOO_FEW,
)
from xqr_bench.measure.panel import sampling_units, shared_units
from xqr_bench.measure.resampling import RESAMPLES
from xqr_bench.measure.scores import SettingScores, all_per_query
from xqr_bench.record import LanguageDiagnostics, Record, Result, unrepresented_languages
from xqr_bench.record.describe import seen_groups
from xqr_bench.record.exposure import Level
from xqr_bench.record.model import RelevanceInfo
from xqr_bench.record.store import code_digest

# A checked record -> a row of the leaderboard.

PAIR_METRICS = ("map", "mrr", "recall@1")
POSITION = "language_position"
TOO_GOOD = 0.98
EXPOSURE_CLASSES: dict[Level, ExposureClass] = {
    "none declared": "unexposed",
    "language only": "unexposed",
    "unknown": "unknown",
    "same source": "exposed",
    "evaluation text": "exposed",
}
_IN_COMMAND = (
    "served_model",
    "provider",
    "dimensions",
    "encoding",
    "revision",
    "dtype",
    "max_length",
    "truncate_dim",
    "query_prompt",
    "candidate_prompt",
    "prompt_name",
    "candidate_context",
    "context_template",
    "model_kwargs",
    "similarity",
    "trust_remote_code",
    "allow_zero_vectors",
    "no_relevance",
    "transform",
    "transform_from",
    "fuse_k",
    "fuse_weights",
    "quantize",
    "rescore",
    "index",
    "rerank",
    "rerank_depth",
    "rerank_pool",
    "rerank_add_relevants",
    "k1",
    "b",
    "seed",
    "name",
)
_PLAIN = re.compile(r"[\w./~][\w./~:+,-]{0,99}", re.ASCII)
_FILE = re.compile(r"\w[\w .+@()~-]{0,99}")
_OF_STUDY = ("learning_rate", "temperature", "batch_size", "precision", "mini_batch")
_OF_TRANSFORMERS = ("max_length", "train_length", "frozen_layers", "dropout", "parts")
_PROMPTS = {"query_prompt": "Query: ", "passage_prompt": "Passage: "}
SWEEP_NUMBERS = (
    *("base", "recipe", "updates", "tokens", *_OF_STUDY, "align_updates"),
    *(*_OF_TRANSFORMERS, *_PROMPTS, "dtype", "checkpoints"),
)
"""Options of `xqr-bench sweep` on which the results of a run depend, beside condition, arm, seed and plan."""


def make_row(path: Path, folder: Path, record: Result) -> Row:
    """The row of a record that stands at `path` below `folder`; its standing is filled in later."""
    place = path.relative_to(folder)
    identity, info = record.model.identity, record.provenance
    attestation = _attestation(path, folder, record)
    kind = kind_of(record, attested=attestation is not None)
    exposure = stated_exposure(record, attested=attestation is not None)
    seen = seen_groups(record)
    of_settings = {setting: _without(scores, seen) for setting, scores in record.scores.items()}
    return Row(
        id=place.with_suffix("").as_posix(),
        task=record.task.name,
        model=record.model.name,
        folder=place.parts[0],
        version=place.parts[1],
        revision=identity.revision,
        kind=kind,
        status="reproduced" if attestation else "recomputed",
        attestation=attestation,
        identity=identity.model_dump(mode="json", exclude_none=True),
        protocol=protocol_of(record),
        contest=kind not in ("floor", "ceiling"),
        scores={setting: _scores(setting, scores) for setting, scores in of_settings.items()},
        bias=_bias(of_settings.get(MULTILINGUAL)),
        relevance={name: _under(info) for name, info in record.relevance.items()},
        provenance=ProvenanceSummary(**{name: getattr(info, name) for name in ProvenanceSummary.model_fields}),
        reproduce=reproduce_command(record),
        record=place.as_posix(),
        ranks=ranks_path(place).as_posix(),
        ranks_digest=record.ranks_file.digest,
        warnings=record.warnings,
        notes=[
            *_too_good(record, kind),
            *(f"no figures of {name}: it was trained on {', '.join(codes)}" for name, codes in seen.items()),
        ],
        training=record.training,
        exposure=exposure,
        exposure_class=EXPOSURE_CLASSES[exposure.level],
        transform=None if record.transform is None else record.transform.model_dump(mode="json", exclude_none=True),
        diagnostics={code: _diagnostics(of_language) for code, of_language in record.diagnostics.items()},
        unrepresented=list(unrepresented_languages(record)),
        quantization=None
        if record.quantization is None
        else record.quantization.model_dump(mode="json", exclude_none=True),
        index=None if record.index is None else record.index.model_dump(mode="json", exclude_none=True),
        run_group=record.run_group,
    )


def kind_of(record: Record, *, attested: bool) -> Kind:
    """What competes with what: an encoder, a run, a baseline, or a bound."""
    identity = record.model.identity
    if identity.kind == "baseline" and identity.name in BOUNDS:
        return BOUNDS[identity.name]
    if is_proved_ours(record, attested=attested):
        return "baseline"
    return "run" if identity.similarity == "none" else "encoder"


def _is_cut(record: Result) -> bool:
    """Whether a cut changes figures: a run that ranks every relevant is in the contest of those that are not cut."""
    lists = [record.ranks.gt, *([] if record.ranks.own_gt is None else [record.ranks.own_gt])]
    cut = record.index is not None or any((counts < 0).any() for counts in lists)
    return record.ranks_file.depth is not None and cut


def protocol_of(record: Result) -> Protocol:
    """How the figures were made, and its name: what departs from the standard."""
    identity, settings = record.model.identity, record.task.settings
    task = board_tasks().get(record.task.name)
    of_task = SETTINGS if task is None else task.settings
    approximate = record.index is not None and record.index.recall_against_exact is not None
    index = record.index.type if record.index is not None and approximate else None
    transform = None if record.transform is None else record.transform.label
    departures = [
        *(["paragraph context"] if identity.candidate_context is not None else []),
        *([f"transform {transform}"] if transform is not None else []),
        *([] if record.quantization is None else [f"quantised {record.quantization.label}"]),
        *([f"index {index}"] if index is not None else []),
        *([f"cut at {record.ranks_file.depth}"] if _is_cut(record) else []),
        *([f"{' and '.join(settings)} only"] if len(settings) < len(of_task) else []),
    ]
    return Protocol(
        name=", ".join(departures) or "standard",
        candidate_context=identity.candidate_context,
        transform=transform,
        index=index,
        depth=record.ranks_file.depth,
        settings=list(settings),
        partial=bool(record.task.partial),
    )


def _without(scores: SettingScores, groups: Collection[str]) -> SettingScores:
    """The scores without those of these groups."""
    left = {key: figures for key, figures in scores.by_group.items() if key.partition(":")[0] not in groups}
    return scores.model_copy(update={"by_group": left})


def _parts(scores: SettingScores, kind: str) -> dict[str, Any]:
    """The figures of one kind: macro averages, query languages and groups."""

    def of_kind(figures: Figures) -> Figures:
        return {name: shortened(figure) for name, figure in figures.items() if parse_metric(name).kind == kind}

    parts = {part: getattr(scores, part) for part in ("by_query_language", "by_group")}
    by_key = {part: {key: of_kind(figures) for key, figures in keys.items()} for part, keys in parts.items()}
    return {"macro": of_kind(scores.macro), **by_key}


def _scores(setting: str, scores: SettingScores) -> SettingFigures:
    return SettingFigures(
        **_parts(scores, "score"),
        by_language_pair={
            pair: {name: shortened(figures[name].value) for name in PAIR_METRICS if name in figures}
            for pair, figures in scores.by_language_pair.items()
            if setting != MULTILINGUAL
        },
    )


def _bias(scores: SettingScores | None) -> Bias:
    if scores is None:
        return Bias()
    position: dict[str, dict[str, float | None]] = {}
    for pair, figures in scores.by_language_pair.items():
        if POSITION in figures:
            query, _, candidate = pair.partition(">")
            position.setdefault(query, {})[candidate] = shortened(figures[POSITION].value)
    return Bias(**_parts(scores, "bias"), language_position=position)


def _diagnostics(diagnostics: LanguageDiagnostics) -> LanguageTexts:
    fields: dict[str, Any] = {}
    for role in ("queries", "candidates"):
        texts = getattr(diagnostics, role)
        fields[f"truncated_{role}"] = getattr(diagnostics, f"truncated_{role}")
        if texts is not None:
            shares = {name: shortened(getattr(texts, name)) for name in Representation.model_fields}
            fields[role] = Representation(**shares)
    return LanguageTexts(**fields)


def _under(info: RelevanceInfo) -> RelevanceFigures:
    scores = {
        setting: {name: shortened(figure) for name, figure in scores.macro.items()}
        for setting, scores in info.scores.items()
    }
    return RelevanceFigures(scores=scores, undefined_reason=info.undefined_reason)


def _attestation(path: Path, folder: Path, record: Record) -> AttestationSummary | None:
    made = attestation_of(path, record)
    if made is None:
        return None
    return AttestationSummary(
        by=made.by,
        date=made.date.isoformat(),
        key=made.key,
        relevants=made.found.relevants,
        share_moved=shortened(made.found.moved_share),
        max_score_difference=shortened(made.found.max_score_difference),
        file=attestation_path(path).relative_to(folder).as_posix(),
    )


def _too_good(record: Record, kind: Kind) -> list[str]:
    scores = record.scores.get(MULTILINGUAL)
    value = scores.macro[MAIN_METRIC].value if scores and MAIN_METRIC in scores.macro else None
    if kind == "ceiling" or value is None or value < TOO_GOOD:
        return []
    return [f"multilingual MAP {value:.3f} is close to perfect: was the encoder trained on this task?"]


def reproduce_command(record: Record) -> Reproduce:
    """The command that makes the record again, as far as its arguments tell."""
    if (swept := study_command(record)) is not None:
        return Reproduce(command=swept, needs=_needs_of_study(record))
    arguments = record.provenance.arguments
    stages = record.model.identity.reranking
    identity = record.model.identity if stages is None else stages.first
    baseline = identity.kind == "baseline" and stages is None
    model = str(arguments.get("model") or (f"baseline {identity.name}" if baseline else identity.model))
    options = dict(arguments)
    if identity.kind in (*KINDS.values(), "mteb") and identity.revision:
        options["revision"] = identity.revision
    named = [model]
    if identity.fusion is not None:
        named = shlex.split(model)
        k, weights = identity.fusion.k, identity.fusion.weights
        options |= {
            "fuse_k": None if k == K else k,
            "fuse_weights": None if set(weights) == {1.0} else ",".join(map(repr, weights)),
        }
    by_name = baseline and model.startswith("baseline ")
    words = ["xqr-bench", *(model.split() if by_name else ["evaluate", *named]), "--task", record.task.name]
    for name in _IN_COMMAND:
        value, option = options.get(name), "--model" if name == "served_model" else flag(name)
        if value is True:
            words.append(option)
        elif isinstance(value, str | int | float) and value is not False:
            text = str(value)
            words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    needs = [_needs(identity, model)]
    if identity.fusion is not None and len(named) > 1:
        needs = [_needs(*each) for each in zip(identity.fusion.parts, named[1:], strict=True)]
    if stages is not None:
        given = arguments.get("rerank_arg")
        of_second = dict(given) if isinstance(given, dict) else {}
        if stages.second.kind in KINDS.values() and stages.second.revision:
            of_second["revision"] = stages.second.revision
        for name in _IN_COMMAND:
            if isinstance(of_second.get(name), str | int | float):
                words += ["--rerank-arg", f"{name}={json.dumps(of_second[name], ensure_ascii=False)}"]
        needs.append(_needs(stages.second, str(arguments.get("rerank") or stages.second.model)))
    return Reproduce(command=shlex.join(words), needs="; ".join(filter(None, needs)) or None)


def _needs(identity: ModelIdentity, model: str) -> str | None:
    kind, endpoint = identity.kind, identity.endpoint
    if endpoint is not None:
        return f"a server at {endpoint.url} that still serves {identity.name} as it did, and a key for it"
    if kind in ("precomputed", "scores", "run"):
        return f"the folder {model.partition(':')[2]}, which is not part of the submission"
    if kind == "python":
        return f"the Python code of {model}"
    if kind in ("plugin", "mteb"):
        return f"the package {identity.distribution}"
    if kind in KINDS.values() and identity.revision is None:
        return f"the model folder {model}"
    return None


def study_command(record: Record) -> str | None:
    """`xqr-bench sweep ...` with the numbers that the record was made with; None where it is of no sweep.

    What the record says is anybody's word: a value that is neither a short name nor a number makes no command.
    """
    if not is_of_sweep(record):
        return None
    group, (options, file) = record.run_group or {}, _asked_of_sweep(record)
    # a folder of its own: the runs of one folder have all numbers in common, and an arm without updates tells of none
    place = "-".join(str(group.get(name)) for name in ("condition", "arm", "seed"))
    words = ["xqr-bench", "sweep", "--output", f"study-{place}"]
    if file is not None:
        if not _fits("file", file):
            return None
        words.append(file)
    named = {"condition": group.get("condition"), "arm": group.get("arm"), "seeds": group.get("seed")}
    for name, value in (named | options).items():
        if value is None:
            continue
        if not _fits(name, value):
            return None
        text = str(value).replace("\n", "\\n") if name in _PROMPTS else str(value)
        words += [f"{flag(name)}={text}"] if text.startswith("-") else [flag(name), text]
    return shlex.join(words)


def _asked_of_sweep(record: Record) -> tuple[dict[str, Any], str | None]:
    """Options that the built-in study, or the file of one's own, does not say by itself; and the name of that file."""
    group, training = record.run_group or {}, record.training or {}
    own, arguments = group.get("study") != "ratio", _arguments_of_sweep(record)
    stated = arguments.get("options")
    if isinstance(stated, dict):
        return {**stated, "plan": arguments.get("plan")}, arguments.get("file") if own else None
    if own:  # of an earlier version, which did not say more
        return {}, f"{group['study']}.toml"
    recipe, base, alignment = training["recipe"], training.get("base"), training.get("alignment")
    statistics = alignment.get("statistics") if isinstance(alignment, dict) else None
    options = {
        "base": base.get("spec") if isinstance(base, dict) else None,
        "recipe": recipe.get("name"),
        "updates": group.get("updates") or None,  # an arm without training has none
        **{name: recipe.get(name) for name in _OF_STUDY},
        "align_updates": statistics.get("updates") if isinstance(statistics, dict) else None,
        **{name: recipe.get(name) for name in _OF_TRANSFORMERS},
        **{name: recipe.get(name) for name, usual in _PROMPTS.items() if recipe.get(name) not in (None, usual)},
        "dtype": None if record.model.identity.dtype in (None, "float32") else record.model.identity.dtype,
        # scored at the end alone; else, as by default, trained on to 200%
        "checkpoints": 100
        if group.get("condition") == "E1" or 0 != group.get("updates") == recipe.get("updates")
        else None,
    }
    return options, None


def _arguments_of_sweep(record: Record) -> dict[str, Any]:
    arguments = (record.training or {}).get("arguments")
    return arguments if isinstance(arguments, dict) else {}


def _fits(name: str, value: object) -> bool:
    """Whether a value of a record may stand in a command."""
    if name not in (*SWEEP_NUMBERS, "condition", "arm", "seeds", "plan", "file"):
        return False
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10**9
    if name in _PROMPTS:
        return len(value) <= 200 and "\\n" not in value and value.replace("\n", "").isprintable()
    return (_FILE if name in ("file", "plan") else _PLAIN).fullmatch(value) is not None


def _needs_of_study(record: Record) -> str | None:
    """The files that the command of a study's record names, as far as they do not come with xqr-bench."""
    group, arguments = record.run_group or {}, _arguments_of_sweep(record)
    if group.get("study") == "ratio":
        return f"the plan {arguments['plan']}, SHA-256 {group['plan']}" if arguments.get("plan") else None
    digest = arguments.get("file_digest")
    if digest is None:
        return f"the file of the study; it or the plan that it names has the SHA-256 {group['plan']}"
    plan = "" if digest == group["plan"] else f"; its plan, SHA-256 {group['plan']}"
    return f"the file of the study, SHA-256 {digest}{plan}"


# Who cannot be told apart from the best: tests between the rows of a contest, from their stored ranks.

TESTS = Tests(
    metric=MAIN_METRIC,
    alpha=ALPHA,
    resamples=RESAMPLES,
    seed=SEED,
    method=(
        "Within one task and protocol: every pair of rows in every setting, by question (one random sign a question) "
        "and by article (studentised bootstrap), adjusted over all of them by step-down max-T (of two rows by Holm "
        "over the settings). A row is below the best when both adjusted p reach alpha; when only the one by question "
        "does it is 'question level only' and counts as tied; 'too few articles' where 2^(1 - articles) times the "
        "number of tests exceeds alpha. A verdict is about these weights in these languages, not about a way of "
        "training."
    ),
)
_VERDICTS: dict[str, Verdict] = {
    SIGNIFICANT: "below the best",
    QUESTION_ONLY: "question level only",
    TOO_FEW: "too few articles",
    NOT_SIGNIFICANT: "not below the best",
}
Standings = dict[str, dict[str, Standing]]  # setting -> metric -> standing


def standings(contestants: Mapping[str, Ranks], settings: Sequence[str]) -> dict[str, Standings]:
    """The standing of each contestant.

    Args:
        contestants: row id -> ranks, all of one task and protocol.
        settings: those to test; all contestants have them.

    Returns:
        row id -> setting -> metric -> standing.
    """
    names, added, of_units, of_records = sorted(contestants), [], [], []
    for name in names:
        ranks = contestants[name]  # may be read now, and are not kept
        values = all_per_query(ranks, [MAIN_METRIC], settings)
        of_units.append(sampling_units(ranks))
        of_records.append([_macro_average(values[setting][MAIN_METRIC]) for setting in settings])
        figures = figures_of(values, of_units[0], parts=(MACRO,))
        added.append(Contribution.of({(setting, MAIN_METRIC): figures[setting, MAIN_METRIC] for setting in settings}))
    tests = contest_tests(added, shared_units(of_units), SEED) if len(names) > 1 and settings else None
    result: dict[str, Standings] = {name: {} for name in names}
    for f, setting in enumerate(settings):
        means = np.array(of_records)[:, f]
        best = int(np.argmax(means))
        order = np.argsort(-means, kind="stable").tolist()
        for i, name in enumerate(names):
            test = None if tests is None or i == best else tests.test(i, best, f)
            how: Verdict = "best" if test is None else _VERDICTS[test.verdict]
            result[name][setting] = {
                MAIN_METRIC: Standing(
                    place=order.index(i) + 1,
                    verdict=how,
                    tied_with_best=how != "below the best",
                    best=names[best],
                    difference=shortened(float(means[best] - means[i])),
                    p_adjusted=None if test is None else test.p,
                    p_article=None if test is None else test.p_article,
                )
            }
    return result


def standings_once(
    contestants: Mapping[str, Ranks], digests: Mapping[str, str], settings: Sequence[str]
) -> dict[str, Standings]:
    """`standings`, from the user's cache folder where they were found there by this code.

    All pairs of a contest are adjusted together, so that it is kept as a whole.

    Args:
        contestants, settings: as of `standings`.
        digests: of the ranks of each contestant.
    """
    key = json.dumps([code_digest(), sorted(digests.items()), list(settings)])
    place = vector_store().folder / "contests" / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError, ValueError):  # there is none, or a damaged one, which is made anew
        kept = _KEPT.validate_json(place.read_bytes())
        if kept.keys() == set(contestants):
            return kept
    found = standings(contestants, settings)
    with suppress(OSError), atomic_path(place) as temporary:  # nothing but time is lost
        temporary.write_bytes(_KEPT.dump_json(found))
    return found


_KEPT = TypeAdapter(dict[str, Standings])


def _macro_average(values: PerQuery) -> float:
    n = len(values.cells)
    sums = np.bincount(values.cell, weights=values.values, minlength=n)
    return float((sums / np.bincount(values.cell, minlength=n)).mean())
