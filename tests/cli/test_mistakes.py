"""What cannot be meant is one clear message, and nothing is written."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.kit import contents, run, words

A, B = "results/one/mini.json", "results/two/mini.json"
MISTAKES = {
    "evalute": "closest: evaluate",
    "sweep": "there is no place for the results",
    "recompute nowhere.json": "there is no record",
    "evaluate nowhere.py:X": "there is no file nowhere.py",
    f"evaluate {'x' * 300}": f"{'x' * 300} cannot be used: File name too long",
    f"recompute {'x' * 300}": f"{'x' * 300} is not a record: File name too long",
    f"evaluate bm25 --task {'x' * 300}": "File name too long",
    "evaluate char-ngrams --task xquadr": "closest: xquad-r",
    "evaluate char-ngrams --languages de,xx": "no language 'xx'",
    "evaluate char-ngrams --task xquad-r --data-dir nowhere": "nowhere",
    "evaluate char-ngrams --model-kwargs {": "--model-kwargs cannot be",
    "evaluate char-ngrams --languages EN": "no language 'EN' found: closest: en",
    "evaluate char-ngrams --metrics MAP": "no metric named 'MAP' found: closest: map",
    "evaluate char-ngrams --task MINI": "closest: mini",
    "evaluate char-ngrams --quiet --json": "exclude each other",
    "evaluate char-ngrams --limit 0": "--limit cannot be 0",
    "geometry char-ngrams --limit -1": "--limit cannot be -1",
    "train --data mini --output x --limit -1": "--limit cannot be -1",
    "evaluate char-ngrams --metrics ,": "no metric is left",
    "evaluate char-ngrams --metrics mapp": "there is no metric named 'mapp'",
    "evaluate char-ngrams --dry-run --metrics xyz": "there is no metric named 'xyz' to do: use one of: bpref",
    "evaluate char-ngrams --dry-run --metrics TLR@10": "other_language_recall@k is that measure to do: write",
    "evaluate char-ngrams --dry-run --json": "--dry-run makes no record to print as JSON",
    # an empty text names nothing, and no name has what nobody sees
    "evaluate ''": "MODEL is empty",
    "evaluate precomputed:": "precomputed: names no folder to do: write precomputed:FOLDER; precomputed:. is the",
    "evaluate run:": "run: names no folder",
    "evaluate char-ngrams --name ''": "--name is empty",
    "evaluate bm25 --name 'a\nb'": "--name 'a\\nb' holds characters that cannot be seen found: U+000A",
    "baseline random --name ''": "--name is empty",
    "geometry char-ngrams --name '\x1b[31mred'": "--name '\\x1b[31mred' holds characters that cannot be seen",
    f"baseline oracle --name {'n' * 300}": "--name is too long",
    f"evaluate bm25 --name {'模' * 120}": "File name too long to do: give a shorter name",
    "evaluate named.py:Lines --no-cache": "the encoder's name 'two\\nlines' holds characters that cannot be seen",
    "evaluate bm25 --output ''": "--output is an empty text to do: name a file or folder; . is the current one",
    "compare ''": "is an empty text",
    "recompute ''": "a file or folder that is named is an empty text",
    "train --data '' --output x": "'' names no training data",
    "train --data bitext: --output x": "'bitext:' names no training data",
    "train --data mini --base '' --output x": "--base is empty",
    "evaluate char-ngrams --backend onnx": "--backend onnx cannot be used: sentence-transformers runs it through",
    "evaluate char-ngrams --backend openvino": "`pip install 'sentence-transformers[openvino]'`",
    "evaluate char-ngrams --backend torsh": "there is no backend 'torsh'",
    "evaluate mine.py:Words --no-cache --cache-dir x": "--no-cache leaves nothing for --cache-dir and --cache-limit",
    "evaluate mine.py:Words --cache-limit lots": "'lots' is no size",
    "evaluate char-ngrams --memory lots": "'lots' is no size to do: write it as 500MB, 20GB or 1.5TB",
    "evaluate char-ngrams --limit 2 --memory 100kB": "a memory budget of 0 MiB is too small to rank",
    "evaluate char-ngrams --limit 2 --score-device tpu": "scores cannot be counted on 'tpu'",
    "evaluate char-ngrams --limit 2 --score-device cuda:77": "there is no device cuda:77 to count on",
    "evaluate char-ngrams --index flat --score-device cuda": "an index is searched on the processor",
    # other rankers take no options of encoders
    "evaluate run:runs --memory 1GB --score-device cpu": "--memory, --score-device cannot be used with a run",
    "evaluate run:runs --dry-run": "--dry-run cannot be used with a run",
    "evaluate run:runs --trec-run there": "--trec-run cannot be used with a run",
    "evaluate run:runs --index flat": "--index cannot be used with a run",
    "evaluate run:runs --transform center": "--transform cannot be used with a run",
    "evaluate oracel": "closest built-in or plugin: oracle",
    "evaluate bm52": "closest built-in or plugin: bm25",
    "evaluate BM25": "closest built-in or plugin: bm25",
    "evaluate mini": "mini is a task, not a model to do: name what is to be scored on it, such as: xqr-bench evaluate",
    "geometry bm25": "bm25 is a ranking without vectors, whose geometry could be measured to do: name an encoder",
    "geometry run:runs": "run:runs is a ranking without vectors",
    "train --data mini --output x --updates 0": "--updates 0 trains nothing",
    # no file of ours could hold them
    f"evaluate random:{'9' * 23}": "is no whole number of at most 18 digits",
    f"evaluate random:{'9' * 5000}": "is no whole number of at most 18 digits",
    f"baseline random --seed {10**19}": "--seed cannot be 10000000000000000000 to do: use a whole number from 0 on",
    f"evaluate bm25 --limit {10**25}": "--limit cannot be 10000000000000000000000000",
    f"evaluate char-ngrams --batch-size {10**25}": "it has more than 64 bits",
    f"evaluate char-ngrams --memory {10**12}TB": "is no size",
    f"evaluate char-ngrams --index hnsw --index-param ef_search={10**20}": "use a whole number from 1 to 2147483647",
    f"pools {A} --seed -1": "the seed is -1 to do: give a whole number of at least 0",
    # a link to itself, and what never ends
    "evaluate precomputed:circle": "there is no folder circle with precomputed vectors",
    "evaluate run:circle": "there is no run of mini in circle",
    "evaluate char-ngrams --transform center --transform-from circle": "there is no folder circle",
    "recompute pipe.json": "pipe.json is not a record: it is no regular file but a pipe, a socket or a device",
    f"compare {A} pipe.json": "pipe.json is not a record: it is no regular file",
    "evaluate char-ngrams --task pipe.toml": "cannot read the task file pipe.toml: it is no regular file",
    "evaluate precomputed:pipes": "pipes/mini/queries.npy cannot be read: it is no regular file",
    "evaluate run:pipes": "pipes/mini/monolingual.run cannot be read: it is no regular file",
    "train --data squad:pipes --output x": "cannot read pipes/en.json: it is no regular file",
    "geometry char-ngrams --limit 2 --output pipe.json": "cannot write pipe.json: it is no regular file but a pipe",
    "evaluate pipe.py:E": "there is no file pipe.py found: closest: mine.py",
    "evaluate randm:3": "known names: char-ngrams, bm25, random, oracle, run",
    "evaluate bm25 --device cpu": "--device cannot be used with bm25",
    "evaluate oracle --index flat": "--index cannot be used with oracle",
    "evaluate run:nowhere": "there is no run of mini in nowhere",
    "baseline bm25 --b 2": "--b cannot be 2.0",
    "evaluate char-ngrams --trec-settings multilingual": "--trec-settings is given without --trec-run",
    "evaluate char-ngrams --trec-run x --trec-settings all": "there is no setting named 'all'",
    "evaluate char-ngrams --trec-run x --index hnsw": "--trec-run writes the exact ranking, not that of an",
    # indices and transforms
    "evaluate char-ngrams --index ivf --languages ar,en": "the index ivf cannot be trained on the 36 candidates of ar",
    "evaluate char-ngrams --index annoy": "there is no index named 'annoy'",
    "evaluate char-ngrams --index hnsw --metrics recall@10 --depth 9": "give --depth 10 or more",
    "evaluate char-ngrams --index-param m=3": "--index-param is given without --index",
    "evaluate char-ngrams --index hnsw --depth 1001": "more than the candidates of a language to do: give --depth 1000",
    "evaluate char-ngrams --depth 100": "--depth is given without --index",
    "evaluate char-ngrams --save-index x": "--save-index is given without --index",
    "evaluate char-ngrams --index flat --depth 100": "the index flat is not cut at a depth",
    "evaluate char-ngrams --transform centre": "closest: center",
    "evaluate char-ngrams --transform-from x": "--transform-from is given without a transform",
    "evaluate char-ngrams --transform center --transform-from nowhere": "no folder nowhere of translated sentences",
    "evaluate char-ngrams --transform remove-999": "remove-999 would remove all there is of",
    "evaluate char-ngrams --transform center --index flat --save-index x": "an index of transformed vectors cannot be",
    "evaluate broken.py:X --index hnsw --metrics recall@10 --depth 9": "give --depth 10 or more",  # it is not loaded
    "evaluate broken.py:X --index flat --save-index results": "exists and is no saved index",
    # comparisons and plots
    f"compare {A}": "one record of mini cannot be compared",
    "compare": "no record is named",
    f"compare {A} {B} --metric recal@10": "closest: recall@k",
    f"compare {A} {B} --language eng": "there is no language named 'eng'",
    f"compare {A} {B} --setting multi": "closest: multilingual",
    f"compare {A} {B} --adjust holm": "there is no adjustment named 'holm'",
    f"compare {A} {B} --json --latex": "--json and --latex exclude each other",
    f"compare {A} {B} --plot x.gif": "x.gif: a plot cannot be written as 'gif'",
    f"compare {A} {B} --plot x": "x: the name does not say how to write a plot to do: end the name with .png, .svg",
    f"plot {A} -o results": "results is a folder to do: name the file to draw: results/plot.png",
    f"compare {A} {B} --kind forest": "give --plot FILE too",
    f"compare {A} {B} --resamples 1": "too few",
    f"plot {A} -o x.jpeg": "cannot be written as 'jpeg'",
    f"plot {A} --kind heat-map -o x.png": "closest: heatmap",
    f"plot {A} --kind forest -o x.png": "one record of mini cannot be compared",
    f"plot {A} --metric rank_distance -o x.png": "has no rank_distance for a language pair",
    f"plot {A} --kind languages --setting multi -o x.png": "closest: multilingual",
    f"plot {A} --kind bias --setting multilingual -o x.png": "--setting does not change",
    "plot nowhere -o x.png": "nowhere",
    "submit results": "results",
    "report ratios nowhere --output x": "there is no study nowhere",
    "report ratios results --output x": "there is no study results found: a folder without study.json",
}

NAMED = """
class Lines:
    name = "two\\nlines"
    def encode(self, texts):
        raise RuntimeError("was asked")
"""


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_clear_message(records: Path, command: str) -> None:
    if not Path("broken.py").exists():
        Path("broken.py").write_text("raise RuntimeError('was loaded')\n", encoding="utf-8")
        Path("named.py").write_text(NAMED, encoding="utf-8")
        Path("circle").symlink_to("circle")
        Path("pipes/mini").mkdir(parents=True)
        for name in ("pipe.json", "pipe.toml", "pipe.py", "pipes/mini/queries.npy", "pipes/mini/monolingual.run"):
            os.mkfifo(name)
        os.mkfifo("pipes/en.json")
    before = set(contents(records))
    done = run(*shlex.split(command))
    assert (done.code, done.out) == (1, "")
    assert MISTAKES[command] in words(done.err)
    assert done.err.splitlines()[-1].startswith(("error: ", "  found: ", "  to do: "))
    assert not any(text in done.err for text in ("Traceback", "Errno", "was loaded"))
    assert set(contents(records)) == before


@pytest.mark.parametrize("command", ["report ratios nowhere", "exposure --data mini"])
def test_an_option_that_must_be_given_is_named(command: str) -> None:
    done = run(*shlex.split(command))
    assert (done.code, done.out) == (2, "")
    assert "Missing option" in done.err
