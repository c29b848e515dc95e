"""What cannot be meant in Python is one error of the family, and nothing was done; what can be meant is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xqr_bench
from xqr_bench import XqrBenchError, evaluate, load_encoder, load_record, load_task
from xqr_bench.analysis.asked import Choice, Pools
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.encode import EncoderOptions
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.evaluate import evaluate as evaluate_all
from xqr_bench.record import recompute, record_files, save_record
from xqr_bench.tasks import Selection, load_spec
from xqr_bench.train import TrainConfig

NUMBER = "give a whole number or None"
MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "no task": (lambda: evaluate("bm25", None), "task cannot be None (NoneType) to do: give a text or a path or a"),
    "a number for a task": (lambda: evaluate("bm25", 5), "task cannot be 5 (int)"),
    "tasks as a text": (lambda: evaluate_all("bm25", "mini"), "tasks cannot be 'mini' (str) to do: give a list"),
    "a text for a number": (lambda: evaluate("bm25", limit="2"), f"limit cannot be '2' (str) to do: {NUMBER}"),
    "a number that no file holds": (
        lambda: evaluate("bm25", limit=10**25),
        "limit cannot be 10000000000000000000000000: it has more than 64 bits to do: give a smaller number",
    ),
    "a path of no file": (lambda: TransformOptions("center", "a\0b"), "source cannot be 'a\\x00b' (str)"),
    "a prompt that is no text": (lambda: EncoderOptions(query_prompt="\udcff"), "is no text of UTF-8"),
    "a fraction": (lambda: evaluate("bm25", limit=2.5), f"limit cannot be 2.5 (float) to do: {NUMBER}"),
    "True for a number": (lambda: evaluate("bm25", limit=True), f"limit cannot be True (bool) to do: {NUMBER}"),
    "None for a truth": (lambda: evaluate("bm25", cache=None), "cache cannot be None (NoneType) to do: give True or F"),
    "a number for a folder": (lambda: evaluate("bm25", data_dir=5), "data_dir cannot be 5 (int) to do: give a path or"),
    "languages as a text": (
        lambda: evaluate("bm25", languages="ende"),
        "languages cannot be 'ende' (str) to do: give a",
    ),
    "numbers for languages": (lambda: load_task("mini", languages=[1]), "languages cannot be [1] (list)"),
    "metrics as a text": (
        lambda: evaluate_all("bm25", metrics="map"),
        "metrics cannot be 'map' (str) to do: give a li",
    ),
    "the name of a transform": (
        lambda: evaluate("char-ngrams", transform="center"),
        "transform cannot be 'center' (str) to do: give a TransformOptions (xqr_bench.encode.transform) or None",
    ),
    "the name of an index": (
        lambda: evaluate("char-ngrams", index="hnsw"),
        "give a IndexOptions (xqr_bench",
    ),
    "a dict of options": (
        lambda: load_encoder("char-ngrams", {"name": "x"}),
        "options cannot be {'name': 'x'} (dict) to do: give a EncoderOptions (xqr_bench.encode.options) or None",
    ),
    "an unknown argument": (
        lambda: evaluate("bm25", limt=2),
        "there is no argument named 'limt' found: closest: limit",
    ),
    "nothing": (lambda: evaluate(), "missing a required argument: 'ranker' to do: the arguments are: rank"),
    "too much": (lambda: load_encoder("a", None, "b"), "too many positional arguments"),
    "an option twice": (lambda: load_task("mini", task="mini"), "multiple values for argument 'task'"),
    "a number for a file": (lambda: load_record(3), "path cannot be 3 (int) to do: give a path or a text"),
    "a folder of letters": (lambda: record_files("results"), "paths cannot be 'results' (str) to do: give a list"),
    "records as a text": (lambda: compare("results"), "paths cannot be 'results' (str)"),
    "a seed that is none": (lambda: compare([], seed="1"), "seed cannot be '1' (str) to do: give a whole number"),
    "a choice as a text": (lambda: Choice(metrics="map"), "metrics cannot be 'map' (str) to do: give a list"),
    "a pool as a text": (lambda: Pools(languages="ende"), "languages cannot be 'ende' (str)"),
    "a part of letters": (lambda: Selection(languages="ende"), "languages cannot be 'ende' (str)"),
    "another similarity": (lambda: EncoderOptions(similarity="euclidean"), "--similarity cannot be 'euclidean'"),
    "a similarity that is no word": (
        lambda: EncoderOptions(similarity=3),
        "similarity cannot be 3 (int) to do: give a",
    ),
    "another type of weights": (lambda: EncoderOptions(dtype="float64"), "--dtype cannot be 'float64'"),
    "weights by numpy": (lambda: EncoderOptions(dtype=np.float16), "dtype cannot be <class 'numpy.float16'> (type)"),
    "a length as a text": (lambda: EncoderOptions(max_length="2"), "max_length cannot be '2' (str)"),
    "a text of options": (
        lambda: EncoderOptions(model_kwargs="{}"),
        "model_kwargs cannot be '{}' (str) to do: give a d",
    ),
    "an option of no encoder": (lambda: EncoderOptions(dtyp="float16"), "no argument named 'dtyp'"),
    "a transform of no name": (lambda: TransformOptions(3), "name cannot be 3 (int) to do: give a text"),
    "an update that is none": (lambda: TrainConfig(seed="1"), "seed cannot be '1' (str) to do: give a whole number"),
    "no path": (lambda: load_spec(None), "name_or_path cannot be None"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_meant_is_one_error_of_the_family(mistake: str) -> None:
    call, message = MISTAKES[mistake]
    with pytest.raises(UsageError) as raised:
        call()
    assert isinstance(raised.value, XqrBenchError)
    assert message in " ".join(str(raised.value).split())


def test_the_closest_argument_is_named() -> None:
    with pytest.raises(UnknownNameError, match="closest: languages"):
        evaluate("bm25", langauges=["en"])


def test_numbers_of_numpy_and_texts_of_paths_are_taken(tmp_path: Path) -> None:
    of_numpy = evaluate("oracle", limit=np.int64(2), languages=["en", "de"])
    assert of_numpy.task.partial == evaluate("oracle", limit=2, languages=("de", "en")).task.partial
    assert type(of_numpy.task.partial["limit"]) is int
    place = save_record(of_numpy, str(tmp_path / "mini.json"))
    assert recompute(load_record(str(place), ranks=True))[1] == []
    assert load_record(place).task.name == "mini"
    assert Choice(metrics=["map"]) == Choice(metrics=("map",))
    assert TransformOptions("center", "folder").source == Path("folder")
    assert EncoderOptions(batch_size=np.int32(8)).batch_size == 8


def test_what_is_checked_still_says_what_it_takes() -> None:
    assert "limit: only the first questions" in (xqr_bench.evaluate.__doc__ or "")
    assert "similarity: cosine or dot" in (EncoderOptions.__doc__ or "")
