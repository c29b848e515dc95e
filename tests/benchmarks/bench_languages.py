"""`xqr-bench evaluate precomputed:...` on a task of very many languages, of Belebele's size: time and memory.

    python -m tests.benchmarks.bench_languages [--languages 122] [--questions 900] [--passages 488] [--keep FOLDER]

A task of the format `belebele` is made of texts without meaning, in languages that do not exist, and a vector of 384
dimensions for each text: what it asks or tells, its language (more in some languages than in others) and noise.
The command runs in a process of its own, as do `languages`, `recompute` and `pools` (which is refused) of the record it
wrote; printed are wall and CPU seconds, the peak of memory, the seconds of each phase and the sizes of the files.
`--keep` keeps the files there, and takes them from there where they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import numpy as np

from tests.benchmarks.runner import options
from xqr_bench.record import load_record, record_path

DIMENSIONS = 384
NAME = "many"


def codes(n: int) -> list[str]:
    """Codes that no language has: three letters from qaa on, as ISO 639-2 keeps for local use, and on."""
    return ["q" + "".join(two) for two in product(ascii_lowercase, repeat=2)][:n]


def make_files(folder: Path, languages: int, questions: int, passages: int) -> None:
    """The task file, the texts, and the vectors."""
    names = codes(languages)
    of_question = np.sort(np.arange(questions) % passages)
    number = np.arange(questions) - np.searchsorted(of_question, of_question)
    generator = np.random.default_rng(0)
    content = generator.standard_normal((passages, DIMENSIONS)).astype(np.float32)
    vectors = folder / "vectors" / NAME
    vectors.mkdir(parents=True)
    rows = {"queries": languages * questions, "candidates": languages * passages}
    files = {
        role: np.lib.format.open_memmap(vectors / f"{role}.npy", mode="w+", dtype=np.float32, shape=(n, DIMENSIONS))
        for role, n in rows.items()
    }
    ids: dict[str, list[str]] = {role: [] for role in rows}
    for place, code in enumerate(names):
        with (folder / f"{code}.jsonl").open("w", encoding="utf-8") as file:
            for link, k in zip(of_question.tolist(), number.tolist(), strict=True):
                line = {
                    "link": f"link-{link}",
                    "question_number": k,
                    "flores_passage": f"{code} passage {link}",
                    "question": f"{code} question {link} {k}",
                }
                file.write(json.dumps(line) + "\n")
        ids["queries"] += [f"{code}:link-{link}#{k}" for link, k in zip(of_question, number, strict=True)]
        ids["candidates"] += [f"{code}:link-{link}" for link in range(passages)]
        language = (0.5 + place % 7 / 4) * generator.standard_normal(DIMENSIONS).astype(np.float32)
        for role, of_content in (("queries", content[of_question]), ("candidates", content)):
            noise = generator.standard_normal(of_content.shape, dtype=np.float32)
            part = slice(place * len(of_content), (place + 1) * len(of_content))
            files[role][part] = of_content + language + 1.5 * noise
    for role, texts in ids.items():
        files[role].flush()
        (vectors / f"{role}.ids.txt").write_text("\n".join(texts) + "\n")
    lines = [f'name = "{NAME}"', 'format = "belebele"', f"languages = {json.dumps(names)}", "groups = []", "[files]"]
    lines += [f'{code} = {{ path = "{code}.jsonl" }}' for code in names]
    (folder / f"{NAME}.toml").write_text("\n".join(lines) + "\n")


def command(*arguments: str, fails: bool = False) -> str:
    """Run the command line in a process of its own; print what it took, and what it says."""
    with tempfile.TemporaryFile("w+") as out:
        start = os.times().elapsed
        process = subprocess.Popen([sys.executable, "-m", "xqr_bench", *arguments], stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = os.times().elapsed - start
        out.seek(0)
        said = out.read()
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = used.ru_utime + used.ru_stime
    print(f"{arguments[0]:10} {wall:7.1f} s wall {cpu:7.1f} s CPU {peak / 1e6:8.0f} MB", flush=True)
    if bool(process.returncode) != fails:
        raise SystemExit(said[-4000:])
    return said


def main() -> None:
    given = options(__doc__, languages=122, questions=900, passages=488, memory="256MiB", keep=None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.keep or temporary).resolve()
        folder.mkdir(exist_ok=True)
        if not (folder / f"{NAME}.toml").is_file():
            make_files(folder, given.languages, given.questions, given.passages)
        output = folder / "results"
        path = record_path(output, "vectors", NAME)
        asked = ("--task", str(folder / f"{NAME}.toml"), "--output", str(output), "--memory", given.memory)
        print(f"{given.languages} languages, {given.questions} questions, {given.passages} passages")
        said = command("evaluate", f"precomputed:{folder / 'vectors'}", *asked, "--no-cache", "--overwrite")
        print(f"           prints {len(said.splitlines())} lines")
        for phase, seconds in load_record(path).provenance.seconds.items():
            print(f"           {phase:12} {seconds:7.1f} s")
        for file in sorted(path.parent.iterdir()):
            print(f"           {file.name:24} {file.stat().st_size / 1e6:7.1f} MB")
        command("languages", str(path))
        command("recompute", str(path))
        print(command("pools", str(path), fails=True).strip())


if __name__ == "__main__":
    main()
