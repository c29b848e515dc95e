"""A study of one's own in TOML: conditions, arms and numbers, each run as the built-in study's are."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UnknownNameError, UsageError, XqrBenchError, closest
from xqr_bench.core.options import FileKeys, from_table
from xqr_bench.core.toml import FaultyFileError, line_of, read_toml
from xqr_bench.studies.ratio.design import (
    ARMS,
    CONDITIONS,
    STUDY,
    TUNING,
    Arm,
    Condition,
    Numbers,
    Run,
    alpha_of,
    check_asked,
    hybrid,
    numbers_of,
    read_checkpoints,
    read_seeds,
    run_of,
)
from xqr_bench.studies.ratio.form import SHARED, STUDY_FILE, SUMMARY, TUNING_FILE
from xqr_bench.tasks import resolve_task
from xqr_bench.train import Recipe, TrainConfig, get_recipe
from xqr_bench.train.config import PLAN_SETTINGS
from xqr_bench.train.losses import choose_loss
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.recipe import INFONCE

HELP = "docs/ratio-study-how.md describes the file"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""Of a study, a condition, an arm: a part of paths."""
_NOT_OF_FILE = ("plan", "arms", "own_language")
_OF_FOLDER = (SHARED, TUNING.name, STUDY_FILE, TUNING_FILE, SUMMARY)
"""What stands beside the conditions' folders in that of a study."""
OF_CONDITION = {one.name: Condition for one in fields(Condition) if one.name not in _NOT_OF_FILE}
OF_PLAN = {name: TrainConfig for name in ("alpha", *PLAN_SETTINGS) if name != "turn"}
_NOT_OF_ARM = ("name", "updates", "schedule", "warmup", "patience", "validate_every")
OF_RECIPE = {one.name: Recipe for one in fields(Recipe) if one.name not in _NOT_OF_ARM}
OF_ARM: dict[str, type] = {"name": Arm, "about": Arm, "turn": Arm, "aligned": Arm, **OF_PLAN, **OF_RECIPE}


@dataclass(frozen=True)
class StudyFile:
    """A study: its conditions and arms, and what a sweep of it is given where the command says nothing else.

    Attributes:
        name: in records.
        path: the file; None: the built-in study.
        conditions, arms: by name.
        chosen_conditions, chosen_arms: those that are run where none is named; empty: as the command has it.
        values: options of the command -> their values.
        together: the same with what the command itself says, which counts before the file.
    """

    name: str
    path: Path | None
    conditions: Mapping[str, Condition]
    arms: Mapping[str, Arm]
    chosen_conditions: Sequence[str] = ()
    chosen_arms: Sequence[str] = ()
    values: Mapping[str, Any] | None = None
    together: Mapping[str, Any] | None = None

    def runs(self, conditions: Sequence[str], arms: Sequence[str], seeds: Sequence[int]) -> list[Run]:
        """The runs of these conditions, arms and seeds; empty: those the file chooses.

        Raises:
            UnknownNameError: the study has no such condition or arm.
            UsageError: no run is left, or a seed that cannot be meant.
        """
        check_asked(conditions or self.chosen_conditions, seeds)
        found = []
        for condition in conditions or self.chosen_conditions:
            if condition not in self.conditions:
                raise UnknownNameError("condition", condition, self.conditions)
            for arm in arms or self.chosen_arms:
                if arm not in self.arms and alpha_of(arm) is None:
                    raise UnknownNameError("arm", arm, self.arms)
        for one in (self.conditions[name] for name in conditions or self.chosen_conditions):
            for seed in seeds:
                for fold in one.parts:
                    named = [self.arm(name) for name in arms or self.chosen_arms]
                    found += [run_of(one, arm, seed, fold) for arm in named]
        return list({run.id: run for run in found}.values())

    def arm(self, name: str) -> Arm:
        """The arm of this name, one of the study or a ratio."""
        return self.arms.get(name) or hybrid(alpha_of(name) or 0.0)

    def command(self, folder: Path, condition: str = "") -> str:
        """The command that does the runs that a folder lacks."""
        words = ["xqr-bench sweep", *([] if self.path is None else [str(self.path)]), f"--output {folder}"]
        return " ".join([*words, *([f"--condition {condition}"] if condition else [])])


def built_in() -> StudyFile:
    """The study of docs/ratio-study-plan.md."""
    return StudyFile(STUDY, None, CONDITIONS, ARMS)


def read_study(path: Path, keys: Mapping[str, type], said: Mapping[str, Any] | None = None) -> StudyFile:
    """Read a study, and check all of it.

    Args:
        path: the file.
        keys: option of the command that the file may set -> the dataclass that has it as a field.
        said: options that the command itself says, which count before the file; None: nothing is to be trained, and
            whether it could be is not checked.

    Raises:
        FaultyFileError: it asks for what cannot be done; all faults at once, with their lines.
        UsageError: it cannot be read, or is no TOML.
    """
    document, text = read_toml(path, "study file", UsageError)
    return _Reader(path, text, keys, said).read(document)


_IN_PLACE_OF = {"updates": "tokens", "tokens": "updates"}
"""Options that say the same: a file's does not count beside the other one of the command."""
_CHOICES = ("conditions", "arms")
"""Of what the file has: the command may choose others."""
_LISTS = {"seeds": lambda text: check_asked(("any",), read_seeds(text)), "checkpoints": read_checkpoints}
"""Keys that are a text on the command line and may be a list in a file -> what refuses the text."""


class _Reader:
    """Reads one file; what is wrong with it is kept until all of it was looked at."""

    def __init__(self, path: Path, text: str, keys: Mapping[str, type], said: Mapping[str, Any] | None) -> None:
        self._path, self._text, self._said = path, text, said
        self._keys: dict[str, Mapping[str, type]] = {
            "": {**keys, "name": Condition},
            "condition": OF_CONDITION,
            "arm": OF_ARM,
        }
        self._loss: dict[str, Any] = {}  # of arms that name none
        self._numbers: Numbers | None = None
        self._faults: list[tuple[int, str, XqrBenchError]] = []

    def read(self, document: Mapping[str, Any]) -> StudyFile:
        values = self._values("", 0, {k: v for k, v in document.items() if k not in ("condition", "arm")})
        name = values.pop("name", self._path.stem)
        recipe = {key: value for key, value in values.items() if self._keys[""][key] is Recipe}
        self._recipe("", 0, recipe)
        if not self._faults:
            self._loss = {key: value for key, value in recipe.items() if key in ("loss", "loss_args")}
        together = dict(values) if self._said is None else self._with_command(values, self._said)
        with self._keeping("", 0, "name" if "name" in document else ""):
            _refuse_name(name, "study")
            if name == STUDY:
                raise UsageError(f"{STUDY} is the name of the built-in study", remedy='write name = "another"')
        own = {
            "condition": self._tables("condition", document, self._condition),
            "arm": self._tables("arm", document, self._arm),
        }
        conditions: dict[str, Condition] = {**CONDITIONS, **own["condition"]}
        arms: dict[str, Arm] = {**ARMS, **own["arm"]}
        chosen = {}
        for kind, there in (("condition", conditions), ("arm", arms)):
            chosen[kind] = list(values.pop(f"{kind}s", None) or own[kind])
            together.pop(f"{kind}s", None)
            for one in chosen[kind]:
                with self._keeping("", 0, f"{kind}s"):
                    if one not in there and (kind == "condition" or alpha_of(one) is None):
                        raise UnknownNameError(kind, one, there)
            if not chosen[kind] and not self._faults:
                error = UsageError(f"it names no {kind}", remedy=f"write [[{kind}]], or {kind}s = [...]; {HELP}")
                self._faults.append((0, "the file", error))
        if self._faults:
            found = sorted(self._faults, key=lambda one: one[0])
            raise FaultyFileError(self._path, [(place, error) for _, place, error in found])
        return StudyFile(name, self._path, conditions, arms, chosen["condition"], chosen["arm"], values, together)

    def _with_command(self, values: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
        """The values, those that the command says in place of the file's; they make the numbers of the runs.

        Raises:
            UsageError: what the command says cannot be done so.
        """
        said = {key: value for key, value in said.items() if key in self._keys[""] and key not in _CHOICES}
        values = {key: value for key, value in values.items() if _IN_PLACE_OF.get(key) not in said} | said
        if self._faults:
            return values
        of_numbers = {one.name for one in (*fields(Numbers), *fields(Recipe))}
        try:
            made = numbers_of(**{key: value for key, value in values.items() if key in of_numbers})
            self._numbers = made.of_arm(hybrid(0.5))
        except XqrBenchError as error:
            words = FileKeys(self._keys[""])
            if any(words.is_about(str(error), key) for key in said if key in of_numbers):
                raise
            with self._keeping("", 0, given=values):
                raise
        return values

    @contextmanager
    def _keeping(self, table: str, number: int, key: str = "", given: Container[str] = ()) -> Iterator[None]:
        """Keep a fault of the block, in the words of the file, with its line.

        That is the line of the key; without one of the first key given that the fault names, else of the table.
        """
        try:
            yield
        except XqrBenchError as error:
            words = FileKeys(self._keys[table])
            text = str(error)
            key = key or next((one for one in self._keys[table] if one in given and words.is_about(text, one)), "")
            told = [part and words.in_keys(part) for part in (error.problem, error.found, error.remedy)]
            error = UsageError(str(told[0]), found=told[1], remedy=told[2])
            line = line_of(self._text, table, number, key) or line_of(self._text, table, number)
            place = [f"line {line}" if line else "", f"{table} {number + 1}" if table else "", key]
            self._faults.append((line or 0, ", ".join(part for part in place if part) or "the file", error))

    def _values(self, table: str, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
        values, keys = {}, self._keys[table]
        for key, value in given.items():
            with self._keeping(table, number, key):
                if key not in keys:
                    raise UsageError(f"there is no option {key!r:.60} here", found=closest(key, keys), remedy=HELP)
                values[key] = _listed(key, value) if key in _LISTS else from_table(keys[key], key, value)
        return values

    def _tables(self, kind: str, document: Mapping[str, Any], make: Any) -> dict[str, Any]:
        given = document.get(kind, [])
        made: dict[str, Any] = {}
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            with self._keeping("", 0, kind):
                raise UsageError(f"{kind} is no list of tables", remedy=f"write [[{kind}]]; {HELP}")
            return made
        for number, table in enumerate(given):
            before = len(self._faults)
            values = self._values(kind, number, table)
            if len(self._faults) > before:
                made[str(table.get("name"))] = None  # that it is wrong is told; that it is missing is not so
                continue
            with self._keeping(kind, number, "name" if "name" in table else ""):
                _refuse_name(values.get("name"), kind)
                if kind == "condition" and values["name"].casefold() in _OF_FOLDER:
                    raise UsageError(
                        f"a condition cannot be named {values['name']}, as a file or folder of every study is",
                        remedy="give it another name",
                    )
                if values["name"] in (CONDITIONS if kind == "condition" else ARMS) or (
                    kind == "arm" and alpha_of(values["name"]) is not None
                ):
                    raise UsageError(f"{values['name']} is a built-in {kind}", remedy="give it another name")
                if values["name"] in made:
                    raise UsageError(f"two {kind}s are named {values['name']!r}", remedy="name each once")
            with self._keeping(kind, number):
                made[str(values.get("name"))] = make(kind, number, values)
        return made

    def _condition(self, kind: str, number: int, values: dict[str, Any]) -> Condition | None:
        missing = [key for key in ("train", "evaluate") if key not in values]
        if missing:
            raise UsageError(f"{missing[0]} is missing", remedy='write train = "mlqa-r" and evaluate = "xquad-r"')
        with self._keeping(kind, number, "evaluate"):
            resolve_task(values["evaluate"])
        with self._keeping(kind, number, "folds"):
            if values.get("folds", 0) < 0 or values.get("folds") == 1:
                raise UsageError(f"folds cannot be {values['folds']}", remedy="use 2 or more, or 0 for none")
        with self._keeping(kind, number, "use_folds"):
            wrong = [one for one in values.get("use_folds") or () if not 0 <= one < values.get("folds", 0)]
            if wrong:
                raise UsageError(f"there is no fold {wrong[0]}", remedy="number them from 0, below folds")
        with self._keeping(kind, number, "held_out"):
            if values.get("held_out") and not values.get("folds"):
                raise UsageError("held_out needs folds", remedy="write folds = 4")
        values.setdefault("bitext", None)
        values.setdefault("aligned", values["bitext"] is not None)
        with self._keeping(kind, number, "aligned"):
            if values["aligned"] and values["bitext"] is None:
                raise UsageError("aligned needs a bitext", remedy='write bitext = "ntrex"')
        return Condition(**values) if "name" in values else None

    def _arm(self, kind: str, number: int, values: dict[str, Any]) -> Arm:
        plan = {key: values[key] for key in OF_PLAN if key in values}
        recipe = {key: values[key] for key in OF_RECIPE if key in values}
        with self._keeping(kind, number):
            if not {"alpha", "strategy"} & plan.keys():
                raise UsageError(
                    "it does not say how its batches are made",
                    remedy="write alpha = 0.5, or strategy; without training there is the arm untrained",
                )
        with self._keeping(kind, number, next((key for key in ("strategy", "alpha", "mix") if key in plan), "")):
            PlanRequest(steps=2, **plan, turn=1 if values.get("turn") else None)
        before = len(self._faults)
        self._recipe(kind, number, recipe)
        about = values.get("about") or ", ".join(f"{key} {value}" for key, value in {**plan, **recipe}.items())
        if self._loss_of(recipe)["loss_args"] != {**self._loss, **recipe}.get("loss_args", {}):
            recipe["loss_args"] = {}  # those of the file are of another loss
        name, turn, aligned = str(values.get("name")), values.get("turn", False), values.get("aligned", True)
        arm = Arm(name, about, plan, recipe, turn=turn, aligned=aligned)
        if self._numbers is not None and len(self._faults) == before:
            with self._keeping(kind, number, given=values):
                self._numbers.of_arm(arm)
        return arm

    def _recipe(self, table: str, number: int, values: Mapping[str, Any]) -> None:
        """Check values of the recipe, each by itself; those that do not go together are refused by the runs."""
        for key, value in values.items():
            with self._keeping(table, number, key):
                get_recipe("paper", **{key: value})
        loss = self._loss_of(values)
        with self._keeping(table, number, next((key for key in ("loss_args", "loss") if key in values), "")):
            choose_loss(loss["loss"], loss["loss_args"], values.get("mini_batch", 0))

    def _loss_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Loss and arguments: those of the values, else of the file; another loss has none of its arguments."""
        of_file = {"loss": INFONCE, "loss_args": {}, **self._loss}
        loss = values.get("loss", of_file["loss"])
        inherited = of_file["loss_args"] if loss == of_file["loss"] else {}
        return {"loss": loss, "loss_args": values.get("loss_args", inherited)}


def _listed(key: str, value: Any) -> str:
    """Seeds or checkpoints of a file as the command line has them, where they can be read.

    Raises:
        UsageError: they cannot.
    """
    many = value if isinstance(value, list) else [value]
    if not all(isinstance(one, int | str) and not isinstance(one, bool) for one in many):
        raise UsageError(f"{key} cannot be {value!r:.60}", remedy="give a list of whole numbers")
    text = ",".join(map(str, many))
    _LISTS[key](text)
    return text


def _refuse_name(name: Any, what: str) -> None:
    """Check that a name can be a part of a path, the same on every system.

    Raises:
        UsageError: it cannot.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"the {what} has no name" if name is None else f"the name of the {what} cannot be {name!r:.60}",
            remedy="give it a short name of letters, digits and . _ + -",
        )
