"""Running an encoder again, and the attestation of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.board.conftest import score
from tests.kit import Seen, contents, edit, every_kill, read_json, run
from xqr_bench.board.asked import Rerun, Submission, Witness
from xqr_bench.board.attestation import (
    Differences,
    Tolerance,
    load_attestation,
    public_key,
    record_digest,
    secret_key,
    write_attestation,
)
from xqr_bench.board.model import signed_by
from xqr_bench.board.reproduce import compare, reproduce
from xqr_bench.board.row import reproduce_command
from xqr_bench.board.submissions import one_line, submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.encode import EncoderOptions
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.record import Record, load_record, save_record

LAB = Witness(by="the lab")


@pytest.fixture
def placed(saved: Path, board: Path) -> Path:
    return submit(saved, board).record


def test_a_record_reproduced(placed: Path, board: Path) -> None:
    done = run("reproduce", str(placed), "--by", "the lab")
    assert done.code == 0
    assert "2,904 of 2,904 relevants have the same counts" in done.out
    beside = placed.with_name("mini.reproduced.json")
    assert f"reproduced: {beside} (unsigned)" in done.out
    made = load_attestation(beside, load_record(placed))
    assert made.found == Differences(
        relevants=2904, identical=2904, moved=0, max_score_difference=0.0, largest=made.found.largest
    )
    assert (made.by, made.key, made.identity) == ("the lab", None, load_record(placed).model.identity)
    checked = run("leaderboard", "verify", str(board))
    assert checked.code == 0
    assert "reproduced by the lab (unsigned): 1" in checked.out
    (row,) = read_leaderboard(board).rows
    assert (row.status, row.attestation.by, row.attestation.key) == ("reproduced", "the lab", None)


def test_without_a_name_nothing_is_attested(placed: Path) -> None:
    done = run("reproduce", str(placed))
    assert done.code == 0
    assert "nobody is named who ran the encoder (--by NAME): no attestation was written" in done.out
    assert not placed.with_name("mini.reproduced.json").exists()
    for by, message in (("", "names nobody"), ("a\u202eb", "names nobody"), ("x" * 200, "names nobody")):
        with pytest.raises(RecordError, match=message):
            reproduce(placed, witness=Witness(by=by))


def test_the_attestation_goes_along(saved: Path, board: Path) -> None:
    other = saved.rename(saved.with_name("one.json"))  # the record names its files anew where it is put
    for suffix in ("ranks", "lenient", "paragraph", "top"):
        (saved.parent / f"mini.{suffix}.parquet").rename(saved.parent / f"one.{suffix}.parquet")

    def names(data: dict) -> None:
        data["ranks_file"]["file"] = "one.ranks.parquet"
        data["top_file"]["file"] = "one.top.parquet"
        for rule, info in data["relevance"].items():
            info["ranks_file"]["file"] = f"one.{rule}.parquet"

    edit(other, names)
    reproduce(other, witness=LAB)
    done = submit(other, board)
    assert done.attestation == board / "char-ngrams/1/mini.reproduced.json"
    assert str(done.attestation) in done.commands[1]
    assert verify(board).faults == []


def test_replacing_takes_an_old_attestation_away(saved: Path, placed: Path, board: Path) -> None:
    reproduce(placed, witness=LAB)
    assert submit(saved, board, Submission(replace=True)).attestation is None
    assert sorted(contents(board)) == [
        f"char-ngrams/1/mini.{end}"
        for end in ("json", "lenient.parquet", "paragraph.parquet", "ranks.parquet", "top.parquet")
    ]


def test_another_encoder_is_not_the_same(placed: Path, tmp_path: Path) -> None:
    code = tmp_path / "other.py"
    code.write_text(
        "class Other:\n    def encode(self, texts):\n        return [[1, len(t), t.count('e')] for t in texts]\n",
        encoding="utf-8",
    )
    done = run("reproduce", str(placed), "--model", f"{code}:Other")
    assert done.code == 1
    assert "not reproduced within the tolerance" in done.out
    assert "identity: kind was builtin, is python" in done.out
    assert not placed.with_name("mini.reproduced.json").exists()


def test_several_records_of_one_encoder_are_encoded_once(tmp_path: Path) -> None:
    code, calls = tmp_path / "counted.py", tmp_path / "texts"
    code.write_text(
        "class Counted:\n"
        "    def encode(self, texts):\n"
        f"        with open({str(calls)!r}, 'a') as file:\n"
        "            file.write(f'{len(texts)} ')\n"
        "        return [[1.0 + len(t), t.count('e'), t.count('a')] for t in texts]\n",
        encoding="utf-8",
    )
    model = f"{code}:Counted"
    paths = [
        save_record(score(model, transform=change), tmp_path / name)
        for name, change in (("plain", None), ("centred", TransformOptions("center")))
    ]
    calls.unlink()

    def encoded() -> int:
        counts = sum(map(int, calls.read_text().split()))
        calls.unlink()
        return counts

    assert run("reproduce", str(paths[0]), "--model", model).code == 0
    alone = encoded()
    done = run("reproduce", *map(str, paths), "--model", model, "--by", "the lab")
    assert done.code == 0, done.err
    assert done.out.count("2,904 of 2,904 relevants have the same counts") == 2
    assert alone <= encoded() < 1.5 * alone, "but for the few texts that tell whether it is the same encoder"
    assert [path.with_name(f"{path.name}.reproduced.json").exists() for path in paths] == [True, True]


def test_a_wide_tolerance_attests_nothing(placed: Path) -> None:
    done = run("reproduce", str(placed), "--tolerance", "0.5", "--by", "the lab")
    assert done.code == 0
    assert "wider than the leaderboard's: no attestation was written" in done.out
    assert not placed.with_name("mini.reproduced.json").exists()
    assert run("reproduce", str(placed), "--tolerance", "2").code == 1


def test_what_counts_as_moved(record: Record) -> None:
    again = score("char-ngrams")
    ranks = again.ranks
    rank = ranks.gt.sum(axis=1) + (ranks.eq.sum(axis=1) + 1) / 2
    near, far = int(np.argmin(rank)), int(np.argmax(rank))
    ranks.gt[near, 0] += 1  # by one: not moved, but not identical
    ranks.gt[far, 0] -= 1 + int(0.01 * rank[far]) + 1
    found = compare(record, again)
    assert (found.relevants - found.identical, found.moved) == (2, 1)
    assert found.max_score_difference == 0.0


def test_within() -> None:
    def found(moved: int, difference: float) -> bool:
        facts = {"relevants": 1000, "identical": 0, "largest": ""}
        return Differences(moved=moved, max_score_difference=difference, **facts).within(Tolerance())

    assert found(10, 0.001)
    assert not found(11, 0.0)
    assert not found(0, 0.00101)


OPENAI = {"url": "https://api.openai.com/v1", "provider": "openai"}
REFUSED = {
    "precomputed": (
        lambda data: data["model"]["identity"].update(kind="precomputed"),
        "made from precomputed vectors: there is no encoder to run again",
    ),
    "run": (lambda data: data["model"]["identity"].update(kind="run"), "made from a ranking made elsewhere"),
    "python": (lambda data: data["model"]["identity"].update(kind="python"), "run only when it is named"),
    "remote code": (
        lambda data: data["model"]["identity"].update(remote_code=True),
        "made with code that comes with the model",
    ),
    "endpoint": (
        lambda data: data["model"]["identity"].update(kind="endpoint", endpoint=OPENAI),
        "only when it is named(.|\n)*--model https://api.openai.com/v1; a key for it stands in OPENAI_API_KEY",
    ),
    "an address under another kind": (
        lambda data: (
            data["model"]["identity"].update(kind="sentence-transformers"),
            data["provenance"]["arguments"].update(model="https://evil.org/v1"),
        ),
        "the record names an endpoint, which is asked, and perhaps paid, only when you name it yourself",
    ),
    "code in a fusion under another kind": (
        lambda data: (
            data["model"]["identity"].update(kind="sentence-transformers"),
            data["provenance"]["arguments"].update(model="fuse:rrf os:getcwd bm25"),
        ),
        "the record names Python code, which is run only when you name it yourself",
    ),
    "an address in a fusion under another kind": (
        lambda data: (
            data["model"]["identity"].update(kind="sentence-transformers"),
            data["provenance"]["arguments"].update(model="fuse:rrf bm25 https://evil.org/v1"),
        ),
        "the record names an endpoint, which is asked, and perhaps paid, only when you name it yourself",
    ),
    "partial": (lambda data: data["task"].update(partial={"limit": 3}), "part of a task cannot be reproduced"),
    "unknown baseline": (
        lambda data: data["model"]["identity"].update(kind="baseline", name="dice"),
        "no baseline named 'dice'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_again(name: str, saved: Path) -> None:
    change, message = REFUSED[name]
    edit(saved, change)
    with pytest.raises(XqrBenchError, match=message):
        reproduce(saved)


def test_an_endpoint_is_submitted_as_what_it_is_and_compared_with_any_encoder(saved: Path, board: Path) -> None:
    def change(data: dict) -> None:
        data["model"] = {
            "name": "openai/small",
            "identity": {"kind": "endpoint", "name": "small", "endpoint": OPENAI, "dimensions": 2048},
        }
        data["provenance"]["arguments"] = {"model": "https://api.openai.com/v1/", "served_model": "small"}

    edit(saved, change)
    placed = submit(saved, board).record
    assert run("leaderboard", "verify", str(board)).code == 0
    (row,) = read_leaderboard(board).rows
    assert (row.kind, row.identity["endpoint"]) == ("encoder", OPENAI)
    assert row.reproduce.command == "xqr-bench evaluate https://api.openai.com/v1/ --task mini --model small"
    assert (
        row.reproduce.needs
        == "a server at https://api.openai.com/v1 that still serves small as it did, and a key for it"
    )
    again = reproduce(placed, again=Rerun(model="char-ngrams"))
    assert again.within
    assert again.why_not == "the ranks agree, but what was run is not the encoder that the record names"
    edit(saved, lambda data: data["provenance"]["arguments"].update(model="https://else.where/v1"))
    with pytest.raises(XqrBenchError, match="was made with another model than it names"):
        submit(saved, board, Submission(replace=True))


def test_vectors_are_no_encoder(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors" / "mini"
    folder.mkdir(parents=True)
    np.save(folder / "queries.npy", np.ones((1, 2)))
    (folder / "queries.ids.txt").write_text("en:1\n", encoding="utf-8")
    with pytest.raises(XqrBenchError, match="is precomputed vectors, not an encoder"):
        reproduce(saved, again=Rerun(model=f"precomputed:{tmp_path / 'vectors'}"))


def test_baselines_are_run_again(bounds: list[Record], tmp_path: Path) -> None:
    for found in bounds:
        path = save_record(found, tmp_path / found.model.name / "mini.json")
        done = reproduce(path)
        assert done.within
        assert done.found.identical == 2904


def test_options_of_the_record_are_used(tmp_path: Path) -> None:
    options = EncoderOptions(candidate_prompt="sentence: ", name="lab/prompted")
    made = score("char-ngrams", options=options)
    path = save_record(made, tmp_path / "mini.json")
    edit(
        path,
        lambda data: data["provenance"].update(arguments={"model": "char-ngrams", "candidate_prompt": "sentence: "}),
    )
    assert reproduce(path).found.identical == 2904
    edit(path, lambda data: data["provenance"].update(arguments={"model": "char-ngrams"}))
    assert reproduce(path).found.identical < 2904


def _later(data: dict) -> None:
    data["date"] = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


BAD = {
    "no form": (lambda data: data.pop("date"), "is no attestation: date: Field required"),
    "an older form": (lambda data: data.update(attestation_version=1), "is of an older form, which names nobody"),
    "nobody": (lambda data: data.update(by=" "), "names nobody who ran the encoder"),
    "signed by its name": (lambda data: data.update(by="Ada (signed with the key RWQ)"), "says whether it is signed"),
    "signed by its name, in other brackets": (
        lambda data: data.update(by="Ada [ s i gned]"),
        "says whether it is signed",
    ),
    "signed by its name, as a word": (lambda data: data.update(by="Ada, signed"), "says whether it is signed"),
    "signed by its machine": (lambda data: data["hardware"].update(system="[signed with the key RWQ"), "no machine"),
    "machine of two lines": (lambda data: data["hardware"].update(system="Linux\nsigned"), "no machine"),
    "machine of parts": (lambda data: data["hardware"].update(system={"a": 1}), "no attestation"),
    "packages as text": (lambda data: data["packages"].update(numpy="2.4 [signed"), "no attestation"),
    "unsigned by its name": (lambda data: data.update(by="Ada \uff08 UNsigned)"), "says whether it is signed"),
    "no digest of ranks": (lambda data: data.update(reproduced_ranks="lol"), "is no attestation: reproduced_ranks"),
    "no commit": (lambda data: data.update(commit="HEAD"), "is no attestation: commit"),
    "no version": (lambda data: data.update(code_version="99<b>"), "is no attestation: code_version"),
    "no Python": (lambda data: data.update(python="3.12\n"), "is no attestation: python"),
    "no metric": (lambda data: data["found"].update(largest="\x1b[31mmap"), "is no attestation: found.largest"),
    "a metric that the record does not have": (
        lambda data: data["found"].update(largest="multilingual verified@1"),
        "names a figure that the record does not have",
    ),
    "a version of the future": (lambda data: data.update(code_version="99.0"), "by the later version 99.0"),
    "a Python of the past": (lambda data: data.update(python="2.7"), "does not run under Python 2.7"),
    "another record": (lambda data: data.update(record_digest="0" * 64), "covers another record"),
    "another model": (lambda data: data["identity"].update(name="other"), "name was char-ngrams, is other"),
    "another digest": (
        lambda data: data["identity"].update(digest="0" * 64),
        "is of another encoder than the record's",
    ),
    "another kind": (lambda data: data["identity"].update(kind="python"), "kind was builtin, is python"),
    "2999": (lambda data: data.update(date="2999-01-01"), "has an impossible date; found 2999-01-01"),
    "tomorrow": (_later, "has an impossible date"),
    "before the record": (lambda data: data.update(date="2020-01-01"), "has an impossible date"),
    "no day": (lambda data: data.update(date="2026-13-01"), "is no attestation: date"),
    "wide": (lambda data: data["tolerance"].update(moved_share=0.5), "is wider than the leaderboard's"),
    "wide scores": (lambda data: data["tolerance"].update(score_difference=0.5), "is wider than the leaderboard's"),
    "moved": (lambda data: data["found"].update(moved=2904, identical=0), "contradict its digest"),
    "the same ranks, other scores": (
        lambda data: data["found"].update(max_score_difference=0.0005),
        "contradict its digest",
    ),
    "not kept": (
        lambda data: data.update(reproduced_ranks="0" * 64, found={**data["found"], "identical": 0, "moved": 100}),
        "is not within its tolerance",
    ),
    "fewer": (lambda data: data["found"].update(relevants=1, identical=1), "are not possible"),
    "negative": (lambda data: data["found"].update(max_score_difference=-1.0), "are not possible"),
    "a key without a signature": (lambda data: data.update(key="RWQ"), "there is no file char-ngrams/1/mini.rep"),
}


@pytest.fixture(scope="module")
def attested(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with one record that was reproduced."""
    folder = tmp_path_factory.mktemp("attested")
    placed = submit(save_record(record, folder / "one" / "mini.json"), folder / "board").record
    assert reproduce(placed, witness=LAB).written is not None
    return folder / "board"


@pytest.mark.parametrize("name", BAD)
def test_bad_attestations(name: str, attested: Path, board: Path) -> None:
    shutil.copytree(attested, board)
    change, message = BAD[name]
    path = board / "char-ngrams/1/mini.json"
    edit(path.with_name("mini.reproduced.json"), change)
    with pytest.raises(RecordError) as raised:
        load_attestation(path.with_name("mini.reproduced.json"), load_record(path, whole=False))
    assert message in one_line(raised.value, board)
    if name == "another model":
        (fault,) = verify(board).faults
        assert (fault.path, message in fault.text) == ("char-ngrams/1/mini.json", True)


# what an attestation covers: every part of a record, also what does not follow from its ranks
CHANGED = {
    "arguments": lambda data: data["provenance"]["arguments"].update(query_prompt="query: "),
    "exposure": lambda data: data.update(exposure={"level": "none declared", "declared_by": "submitter"}),
    "a warning": lambda data: data["warnings"].append("trained on nothing"),
    "training": lambda data: data.update(training={"recipe": "secret"}),
    "hardware": lambda data: data["provenance"]["hardware"].update(machine="quantum"),
    "an interval": lambda data: data["scores"]["multilingual"]["map"]["interval"].update(low=0.0),
    "ranks under another rule": lambda data: data["relevance"]["lenient"]["ranks_file"].update(digest="0" * 64),
    "ranks": lambda data: data["ranks_file"].update(digest="0" * 64),
}


@pytest.mark.parametrize("name", CHANGED)
def test_an_attestation_covers_the_whole_record(name: str, attested: Path, board: Path) -> None:
    shutil.copytree(attested, board)
    path = board / "char-ngrams/1/mini.json"
    edit(path, CHANGED[name])
    with pytest.raises(RecordError, match="covers another record, or this one before it was changed"):
        load_attestation(path.with_name("mini.reproduced.json"), load_record(path, whole=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["model"]["identity"].update(kind="run"), "cannot be reproduced"),
        (lambda data: data["model"]["identity"].update(kind="precomputed"), "cannot be reproduced"),
        (
            lambda data: data.update(run_group={"study": "ratio", "plan": "0" * 64}, training={"recipe": {}}),
            "cannot be reproduced",
        ),
        (
            lambda data: data["model"]["identity"].update(
                kind="endpoint", endpoint={"url": "http://10.0.0.1/v1", "provider": "openai"}
            ),
            r"cannot be reproduced\n  found: it is of an endpoint at http://10.0.0.1/v1, which is another server",
        ),
        (lambda data: data["task"].update(partial={"limit": 3}), "part of a task cannot be reproduced"),
        (lambda data: data["ranks_file"].update(depth=10), "only exact rankings of full depth"),
    ],
)
def test_what_cannot_be_attested(change: Callable[[dict], object], message: str, attested: Path, board: Path) -> None:
    shutil.copytree(attested, board)
    path = board / "char-ngrams/1/mini.json"
    edit(path, change)
    record, beside = load_record(path, whole=False), path.with_name("mini.reproduced.json")
    identity = record.model.identity.model_dump(mode="json", exclude_none=True)
    edit(beside, lambda data: data.update(record_digest=record_digest(record), identity=identity))
    with pytest.raises(RecordError, match=message):
        load_attestation(beside, record)


def test_declaring_anew_needs_a_new_attestation(saved: Path, board: Path) -> None:
    reproduce(saved, witness=LAB)
    with pytest.raises(RecordError, match="before it was changed"):
        submit(saved, board, Submission(exposure="same source", exposure_note="the model card"))
    assert not board.exists()


def test_another_encoder_with_the_same_ranks(saved: Path, tmp_path: Path) -> None:
    code = tmp_path / "same.py"
    code.write_text("from xqr_bench.encode.char_ngrams import CharNgrams as Same\n", encoding="utf-8")
    done = reproduce(saved, again=Rerun(model=f"{code}:Same"), witness=LAB)
    assert done.within
    assert done.written is None
    assert "is not the encoder that the record names" in done.why_not


def test_signatures(attested: Path, board: Path, tmp_path: Path) -> None:
    minisign = pytest.importorskip("minisign", reason="needs py-minisign: pip install 'xqr-bench[sign]'")
    shutil.copytree(attested, board)
    placed = board / "char-ngrams/1/mini.json"
    keys = minisign.KeyPair.generate()
    key = tmp_path / "lab.key"
    key.write_bytes(bytes(keys.secret_key) + b"\n")
    done = run("reproduce", str(placed), "--by", "the lab", "--sign", str(key))
    assert done.code == 0, done.err
    beside, signature = placed.with_name("mini.reproduced.json"), placed.with_name("mini.reproduced.json.minisig")
    keys.public_key.verify(beside.read_bytes(), minisign.Signature.from_file(signature))  # as anybody does
    public = keys.public_key.to_base64().decode()
    done = run("leaderboard", "verify", str(board))
    assert done.code == 0
    assert f"reproduced by the lab (signed with the key {public}): 1" in done.out
    # it goes along with a submission, and away with the next
    moved = submit(placed, tmp_path / "other")
    assert signature.read_bytes() == moved.attestation.with_name(signature.name).read_bytes()
    assert signature.name in moved.commands[1]
    # whatever ends its lines: the bytes that were signed are the bytes that go along
    lines = beside.read_bytes()
    crlf = lines.replace(b"\n", b"\r\n")
    beside.write_bytes(crlf)
    kept = signature.read_bytes()
    signature.write_bytes(bytes(keys.secret_key.sign(crlf)) + b"\n")
    windows = submit(placed, tmp_path / "windows").attestation
    assert windows.read_bytes() == crlf
    assert verify(tmp_path / "windows").faults == []
    beside.write_bytes(lines)
    signature.write_bytes(kept)
    own = read_json(beside)
    own["key"] = minisign.KeyPair.generate().public_key.to_base64().decode()
    for text, message in (
        (beside.read_text(encoding="utf-8").replace("the lab", "the Lab"), "is no signature of mini.reproduced.json"),
        (json.dumps(own), "is no signature of mini.reproduced.json"),
        (json.dumps({**own, "key": "no key"}), "is no signature of mini.reproduced.json"),
        (json.dumps({name: value for name, value in own.items() if name != "key"}), "names no key, yet there is"),
    ):
        beside.write_text(text, encoding="utf-8")
        with pytest.raises(RecordError, match=message):
            load_attestation(beside, load_record(placed))
    beside.unlink()
    assert any("there is no file char-ngrams/1/mini.reproduced.json" in fault.text for fault in verify(board).faults)
    assert run("reproduce", str(placed), "--by", "x", "--sign", str(tmp_path / "no.key")).code == 1
    assert "without --by" in run("reproduce", str(placed), "--sign", str(key)).err


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (True, True)])
def test_killed_while_an_attestation_is_written(
    before: bool, after: bool, attested: Path, board: Path, tmp_path: Path
) -> None:
    """Attestation and signature are there together or not at all."""
    minisign = pytest.importorskip("minisign", reason="needs py-minisign: pip install 'xqr-bench[sign]'")
    (tmp_path / "lab.key").write_bytes(bytes(minisign.KeyPair.generate().secret_key) + b"\n")
    key = secret_key(tmp_path / "lab.key")
    beside, there = (folder / "char-ngrams/1/mini.reproduced.json" for folder in (board, attested))
    made = load_attestation(there, load_record(there.with_name("mini.json"), whole=False))

    def write(signed: bool, by: str) -> None:
        chosen = key if signed else None
        write_attestation(beside, made.model_copy(update={"by": by, "key": chosen and public_key(chosen)}), chosen)

    def begin() -> None:
        shutil.rmtree(board, ignore_errors=True)
        shutil.copytree(attested, board)
        write(before, "the lab")

    for _ in every_kill(board, begin, lambda: write(after, "the other lab")):
        done = verify(board, Seen())
        assert done.faults == []
    assert list(done.reproduced) == [signed_by("the other lab", public_key(key) if after else None)]


def test_a_signature_that_cannot_be_checked(attested: Path, board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(attested, board)
    monkeypatch.setitem(sys.modules, "minisign", None)
    beside = board / "char-ngrams/1/mini.reproduced.json"
    edit(beside, lambda data: data.update(key="RWQ"))
    beside.with_name("mini.reproduced.json.minisig").write_text("untrusted", encoding="utf-8")
    (fault,) = verify(board).faults
    assert "signatures need the package py-minisign" in fault.text


def test_a_record_of_a_sweep_names_the_sweep(saved: Path, board: Path) -> None:
    group = {"study": "ratio", "condition": "demo", "arm": "alpha-1", "seed": 3, "updates": 8, "plan": "0" * 64}
    recipe = {"name": "static", "updates": 16, "batch_size": 4, "learning_rate": 0.001, "temperature": 0.1}
    training = {"recipe": recipe, "base": {"spec": "static"}, "alignment": {"statistics": {"updates": 600}}}
    edit(saved, lambda data: data.update(run_group=group, training=training))
    command = (
        "xqr-bench sweep --output study-demo-alpha-1-3 --condition demo --arm alpha-1 --seeds 3 --base static "
        "--recipe static --updates 8 --learning-rate 0.001 --temperature 0.1 --batch-size 4 --align-updates 600"
    )
    assert reproduce_command(load_record(saved)).command == command
    with pytest.raises(RecordError, match="keeps no models") as raised:
        reproduce(saved)
    assert command in str(raised.value)
    for hostile in ({"arm": "x; rm -rf ~"}, {"arm": "--help"}, {"seed": [1]}, {"seed": -1}, {"seed": 1e300}):
        edit(saved, lambda data, hostile=hostile: data["run_group"].update(group | hostile))
        assert reproduce_command(load_record(saved)).command == "xqr-bench evaluate char-ngrams --task mini"
    edit(saved, lambda data: data.update(run_group=None, training=None))
    edit(saved, lambda data: data["provenance"]["arguments"].update(dtype="--trust-remote-code"))
    assert "--dtype=--trust-remote-code" in reproduce_command(load_record(saved)).command
