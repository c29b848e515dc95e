"""Files of strangers: they run no code, fill no memory, and break no board."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.board.conftest import METRICS, submittable
from tests.kit import ROOT, contents, edit, ran, run
from xqr_bench.board import facts
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit, verify
from xqr_bench.core import strict_json, strict_parquet
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.record import Record, load_ranks, load_record, record_path, save_record
from xqr_bench.studies.ratio.form import load_ratios
from xqr_bench.tasks import load_spec

MARKED = "from pathlib import Path\nPath({marker!r}).touch()\n"
ENCODER = "class Evil:\n    def encode(self, texts):\n        return [[1.0, len(text)] for text in texts]\n"


@pytest.fixture(autouse=True)
def mini_board(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec("mini").model_copy(update={"demonstration": False})
    monkeypatch.setattr(facts, "list_specs", lambda: [spec])


@pytest.fixture(scope="module")
def record() -> Record:
    return submittable(evaluate("char-ngrams", metrics=METRICS)[0])


@pytest.fixture
def saved(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path / "results", record.model.name, record.task.name))


@pytest.fixture(scope="module")
def saved_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    ran("evaluate", "char-ngrams", "--index", "hnsw", "--save-index", str(folder / "i"), "--output", str(folder / "r"))
    return folder / "i"


@pytest.fixture
def index(saved_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved_index, tmp_path / "index"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "the-code-ran"


@pytest.fixture
def evil(tmp_path: Path, marker: Path) -> str:
    """A MODEL string whose code leaves a marker when it is imported."""
    code = tmp_path / "evil.py"
    code.write_text(MARKED.format(marker=str(marker)) + ENCODER, encoding="utf-8")
    return f"{code}:Evil"


@pytest.fixture
def model_folder(tmp_path: Path, marker: Path) -> str:
    """A transformers model whose configuration asks for code beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "code.py").write_text(MARKED.format(marker=str(marker)), encoding="utf-8")
    return str(folder)


@pytest.fixture
def pickled_folder(tmp_path: Path, marker: Path) -> str:
    """A sentence-transformers folder whose weights are a pickle that touches the marker."""
    import pickle

    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    class Touch:
        def __reduce__(self) -> tuple[Any, tuple[Path]]:
            return Path.touch, (marker,)

    parts, folder = tmp_path / "parts", tmp_path / "pickled"
    parts.mkdir()
    (parts / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", encoding="utf-8")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=6, **sizes)).save_pretrained(parts)
    BertTokenizerFast(str(parts / "vocab.txt")).save_pretrained(parts)
    SentenceTransformer(modules=[Transformer(str(parts)), Pooling(8)]).save(str(folder))
    (weights,) = folder.rglob("model.safetensors")
    weights.unlink()
    weights.with_name("pytorch_model.bin").write_bytes(pickle.dumps(Touch()))
    return str(folder)


RISKY: list[Any] = [
    {"trust_remote_code": True},
    {"weights_only": False},
    {"use_safetensors": False},
    {"code_revision": "main"},
    {"custom_generate": "somebody/code"},
    {"attn_implementation": "somebody/kernels"},
    {"quantization_config": {}},
    '{"weights_only": false}',
    '{"weights_only"',
    ["trust_remote_code"],
]


def asks(model: str | None, arguments: object) -> Callable[[Any], object]:
    def change(data: Any) -> None:
        given = data["provenance"]["arguments"]
        given |= {"model_kwargs": arguments} if arguments is not None else {}
        given |= {"model": model} if model is not None else {}

    return change


def test_a_record_names_python_code(saved: Path, evil: str, marker: Path) -> None:
    edit(saved, asks(evil, None))
    done = run("reproduce", str(saved))
    assert done.code == 1
    assert "names Python code, which is run only when you name it yourself" in done.err
    assert evil in done.err
    assert not marker.exists()
    with pytest.raises(XqrBenchError, match="made with another model than it names"):
        submit(saved, saved.parents[2] / "board")
    run("reproduce", str(saved), "--model", evil)
    assert marker.exists()


@pytest.mark.parametrize("arguments", RISKY, ids=str)
def test_a_record_has_arguments_that_decide_which_code_runs(saved: Path, arguments: object) -> None:
    edit(saved, asks(None, arguments))
    with pytest.raises(UsageError, match="can decide which code runs"):
        reproduce(saved)
    with pytest.raises(XqrBenchError, match="arguments for the model that can decide which code runs"):
        submit(saved, saved.parents[2] / "board")


@pytest.mark.parametrize("arguments", RISKY[:2], ids=str)
def test_no_argument_of_a_record_reaches_a_model(
    saved: Path, model_folder: str, pickled_folder: str, marker: Path, arguments: object
) -> None:
    for model in (model_folder, pickled_folder):
        edit(saved, asks(model, arguments))
        assert run("reproduce", str(saved)).code == 1
        edit(saved, lambda data: data["provenance"]["arguments"].pop("model_kwargs"))
        done = run("reproduce", str(saved))
        assert done.code == 1
        assert "Traceback" not in done.err
        assert not marker.exists()


def test_arguments_of_the_user_stand_in_their_place(saved: Path) -> None:
    edit(saved, asks(None, {"weights_only": False}))
    with pytest.raises(UsageError, match="--model-kwargs cannot be used with"):  # so it is the user's that count
        reproduce(saved, options=EncoderOptions(model_kwargs={"dtype": "float32"}))


def test_harmless_arguments_are_used(saved: Path) -> None:
    edit(saved, asks(None, {"attn_implementation": "eager", "torch_dtype": "torch.float32"}))
    with pytest.raises(UsageError, match="--model-kwargs cannot be used with"):  # char-ngrams takes none
        reproduce(saved)


def test_remote_code_needs_its_flag(model_folder: str, marker: Path) -> None:
    with pytest.raises(UsageError, match="give --trust-remote-code"):
        EncoderOptions(model_kwargs={"trust_remote_code": True})
    assert run("evaluate", model_folder).code == 1
    assert not marker.exists()


def test_a_record_with_figures_of_no_setting(saved: Path) -> None:
    edit(saved, lambda data: data["scores"].update(sideways=data["scores"]["multilingual"]))
    with pytest.raises(XqrBenchError, match="figures that its task does not"):
        reproduce(saved)


@pytest.mark.parametrize("value", ["abc", 1.5, True, [1]])
def test_options_of_a_record_have_their_types(saved: Path, value: object) -> None:
    edit(saved, lambda data: data["provenance"]["arguments"].update(truncate_dim=value))
    with pytest.raises(UsageError, match="an option that cannot be meant: truncate_dim"):
        reproduce(saved)


def test_a_record_names_a_task_file(saved: Path, tmp_path: Path) -> None:
    task = tmp_path / "task.toml"
    task.write_text("not even TOML", encoding="utf-8")
    edit(saved, lambda data: data["task"].update(name=str(task)))
    done = run("reproduce", str(saved))
    assert done.code == 1
    assert "a task file is read only when you name it" in done.err


@pytest.mark.parametrize("arguments", [{"trust_remote_code": True}, {"weights_only": False}], ids=str)
def test_an_index_asks_for_code(
    index: Path, evil: str, model_folder: str, pickled_folder: str, marker: Path, arguments: dict[str, bool]
) -> None:
    for model, options in (
        (evil, {}),
        ("char-ngrams", {"model_kwargs": arguments}),
        (model_folder, {"model_kwargs": arguments}),
        (pickled_folder, {"model_kwargs": arguments}),
        (model_folder, {"trust_remote_code": True}),
    ):
        edit(index / "index.json", lambda data: data["encoder"].update(model=model, options=options))  # noqa: B023
        done = run("search", str(index), "where?")
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert not marker.exists()


def test_an_empty_name_chooses_no_encoder(index: Path, evil: str, marker: Path) -> None:
    edit(index / "index.json", lambda data: data["encoder"].update(model=evil))
    assert "names Python code" in run("search", str(index), "where?", "--model", "").err
    assert not marker.exists()


def test_an_index_names_a_task_file(index: Path, tmp_path: Path) -> None:
    task = tmp_path / "task.toml"
    task.write_text("not even TOML", encoding="utf-8")
    edit(index / "index.json", lambda data: data["task"].update(file=str(task)))
    done = run("search", str(index), "where?")
    assert done.code == 1
    assert "made from a task file, which is read only when you name it" in done.err


# One long value of a dictionary, for every row: some kilobytes that a reader of plain texts makes 600 megabytes of.
LONG = "x" * 200_000


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    table = pq.read_table(path)
    pq.write_table(change(table), path, compression="zstd", **options)


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def _one_value(table: pa.Table) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, dtype=np.int32)), pa.array([LONG]))


def long_extra_column(path: Path) -> None:
    _rewrite(path, lambda table: _with(table, "extra", _one_value(table)))


def long_known_column(path: Path) -> None:
    _rewrite(path, lambda table: _with(table, "candidate", _one_value(table)))


def patched_footer(path: Path) -> None:
    """Plain texts of 300 megabytes, of which the footer says that they are less than one."""
    value = "y" * 100_000

    def change(table: pa.Table) -> pa.Table:
        return _with(table, "candidate", pa.array([value] * table.num_rows))

    _rewrite(path, change, use_dictionary=False, write_statistics=False)
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length :]
    group = pq.read_metadata(path).row_group(0)
    sizes = {group.total_byte_size, *(group.column(i).total_uncompressed_size for i in range(group.num_columns))}
    for size in sizes:
        if size > 10**6:
            digits = _varint(size)
            footer = footer.replace(digits, bytes([130, *[128] * (len(digits) - 2), 0]))
    path.write_bytes(data[: -8 - length] + footer)
    assert pq.read_metadata(path).row_group(0).total_byte_size < 10**6
    assert path.stat().st_size < 10**6


def _varint(number: int) -> bytes:
    left, found = number << 1, bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])


MEASURED = r"""
import json, re, sys
from xqr_bench.board import facts
from xqr_bench.tasks import load_spec
from tests.kit import run
spec = load_spec("mini").model_copy(update={"demonstration": False})
facts.list_specs = lambda: [spec]
results = []
for arguments in json.loads(sys.argv[1]):
    done = run(*arguments)
    # not getrusage: its peak begins with that of the process that started this one
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1]) * 1024
    results.append([done.code, done.out + done.err, peak])
print(json.dumps(results))
"""
BOMBS = (long_extra_column, long_known_column, patched_footer)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_file_does_not_fill_the_memory(saved: Path, tmp_path: Path) -> None:
    """In one process: an honest board, then each bomb, none of which may take more memory than that did."""
    commands = []
    bombs = [(bomb, kind) for kind in ("ranks", "top") for bomb in BOMBS]
    for n, (bomb, kind) in enumerate([(None, ""), *bombs]):
        board = tmp_path / str(n)
        placed = submit(saved, board).record
        if bomb is not None:
            bomb(placed.with_suffix(f".{kind}.parquet"))
            assert placed.with_suffix(f".{kind}.parquet").stat().st_size < 2**20
        commands += [("leaderboard", "verify", str(board), "--quiet"), ("recompute", str(placed))]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps(commands)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    first, honest, *found = json.loads(done.stdout)
    assert (first[0], honest[0]) == (0, 0)
    for n, (code, text, peak) in enumerate(found):
        assert code == 1
        says = {"ranks": "ranks.parquet is not a ranks file", "top": "top.parquet is no file of best candidates"}
        assert says[bombs[n // 2][1]] in text
        assert peak - honest[2] < 1e8  # the bombs hold three to six times as much


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_text_in_every_row_is_unpacked_once(tmp_path: Path) -> None:
    """Training data of sixty kilobytes, all rows of which hold one long text, took two gigabytes."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, dtype=np.int32)), pa.array([LONG]))
    pq.write_table(pa.table({"text": values, "n": np.arange(20_000)}), tmp_path / "data.parquet", compression="zstd")
    program = "import re, sys\nfrom pathlib import Path\nfrom xqr_bench.record.exposure_search import read_texts\n"
    program += "n = sum(1 for _ in read_texts([Path(sys.argv[1])]))\n"
    program += "print(n, re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    command = [sys.executable, "-c", program, str(tmp_path / "data.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    rows, peak = map(int, done.stdout.split())
    assert rows == 20_000
    assert peak < 900_000


def test_texts_rebuilt_from_earlier_ones_are_refused(saved: Path) -> None:
    path = saved.with_suffix(".ranks.parquet")
    _rewrite(path, lambda table: table, use_dictionary=False, column_encoding={"candidate": "DELTA_BYTE_ARRAY"})
    with pytest.raises(XqrBenchError, match="an encoding that xqr-bench does not write"):
        load_ranks(path)


def test_page_headers_are_read_as_they_are_written(tmp_path: Path) -> None:
    """What the headers say adds up to what the footer of an honest file says."""
    rows = 50_000
    generator = np.random.default_rng(0)
    table = pa.table(
        {
            "number": pa.array(generator.integers(0, 1000, rows).astype(np.int32)),
            "gain": pa.array(generator.random(rows)),
            "name": pa.array([f"id-{i % 5000}" for i in range(rows)]),
        }
    ).replace_schema_metadata({"xqr_bench": "{}"})
    path = tmp_path / "table.parquet"
    for options in ({}, {"data_page_version": "2.0"}, {"compression": "none"}, {"row_group_size": 7000}):
        pq.write_table(table, path, **options)
        facts = pq.read_metadata(path)
        with path.open("rb") as stream:
            for g in range(facts.num_row_groups):
                for c in range(facts.num_columns):
                    column = facts.row_group(g).column(c)
                    unpacked, values = strict_parquet._unpacked(stream, column)
                    # the footer's figure counts the headers too
                    assert 0 < column.total_uncompressed_size - unpacked < 2000
                    if column.path_in_schema == "name":  # numbers of few values stand in dictionaries too
                        assert values == min(5000, column.num_values)
        found = strict_parquet.read(path, lambda _: {"number": "integer", "gain": "float", "name": "text"})
        assert list(found.texts("name")) == table.column("name").to_pylist()
        assert found.numbers("number", np.int64).tolist() == table.column("number").to_pylist()
        assert found.numbers("gain", np.float64).tolist() == table.column("gain").to_pylist()


def small_table(path: Path, **more: bytes) -> None:
    """A table that carries what it is given beside the facts."""
    table = pa.table({"n": pa.array([1], pa.int32())})
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"xqr_bench": "{}", **{key.replace("_", ":"): more[key] for key in more}})


def test_the_schema_of_arrow_is_not_unpacked(tmp_path: Path) -> None:
    """Its texts can stand behind any number of references: 200 kilobytes made 1.2 gigabytes."""
    path = tmp_path / "table.parquet"
    small_table(path, ARROW_schema=b"no schema at all")
    with pytest.raises(pa.ArrowException):
        pq.ParquetFile(path)
    assert strict_parquet.read(path, lambda _: {"n": "integer"}).rows == 1


def test_a_footer_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    million = bytes([0xFC, *[0xC0, 0x84, 0x3D]])  # a list that claims a million structs
    footer = b"\x15\x04\x19\x1c\x48\x01s\x00\x16\x00\x19" + million + b"\x19" + million
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")  # 38 bytes made 800 megabytes
    with pytest.raises((OSError, ValueError), match="Exceeded size limit"):
        strict_parquet.read(path, lambda _: {})
    small_table(path, long=b"x" * 2**20)
    with pytest.raises(ValueError, match="its footer has 1,048,"):
        strict_parquet.read(path, lambda _: {"n": "integer"})


@pytest.mark.parametrize("header", [b"\x25\x02\x06\x04\x04\x00", b"\x25\x02\x05\x84\x80\x08\x02\x00"])
def test_a_page_header_says_a_size_once(header: bytes) -> None:
    """Field 2 again as another type, or as 65538, is another size to the decoder than to who reads the last one."""
    assert strict_parquet._struct(b"\x25\x02\x00") == ({2: 1}, 3)
    with pytest.raises(ValueError, match="a field that page headers do not have"):
        strict_parquet._struct(header)


def test_rows_of_texts_are_counted_as_objects(saved: Path) -> None:
    """A megabyte of 2.5 million rows made a gigabyte of tuples and texts."""
    path = saved.with_suffix(".ranks.parquet")
    _rewrite(path, lambda table: table.take(np.zeros(700_000, dtype=np.int64)))
    assert path.stat().st_size < 2**18
    with pytest.raises(XqrBenchError, match="unpacks to more than"):
        load_ranks(path)


def test_texts_in_a_dictionary_are_counted_once(tmp_path: Path) -> None:
    """Millions of rows of few texts take the memory of their indices: so are the ranks of a hundred languages."""
    path, rows = tmp_path / "table.parquet", 3_000_000
    table = pa.table({"name": pa.array(np.zeros(rows, dtype=np.int32)).cast(pa.string())})
    table = table.replace_schema_metadata({"xqr_bench": "{}"})
    pq.write_table(table, path)
    assert 64 * rows > strict_parquet.MAX_UNPACKED + strict_parquet.MAX_RATIO * path.stat().st_size
    assert set(strict_parquet.read(path, lambda _: {"name": "text"}).texts("name")) == {"0"}
    pq.write_table(table, path, use_dictionary=False)  # which makes an object of each
    with pytest.raises(ValueError, match="unpacks to more than"):
        strict_parquet.read(path, lambda _: {"name": "text"})


def test_damaged_parquet_is_one_error(saved: Path, record: Record) -> None:
    path = saved.with_suffix(".ranks.parquet")
    whole = path.read_bytes()
    refused = 0
    for at in range(4, 600, 7):
        data = bytearray(whole)
        data[at] ^= 255
        data[-at] ^= 255
        path.write_bytes(data)
        try:
            again = load_record(saved, ranks=True)
        except XqrBenchError:
            refused += 1
        else:
            assert again.ranks.gt.tolist() == record.ranks.gt.tolist()  # nothing that counts was hit
    assert refused > 60


def surrogate(data: Any) -> None:
    data["warnings"] = ["half a character: \ud800"]


def test_one_submission_does_not_break_the_board(saved: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    submit(saved, board)
    hostile = board / "hostile" / "1" / "mini.json"
    hostile.parent.mkdir(parents=True)
    for name, content in contents(saved.parent).items():
        if not name.endswith(".top.parquet"):  # which no submission has
            (hostile.parent / name).write_bytes(content)
    edit(hostile, lambda data: data["model"].update(name="hostile"))
    edit(hostile, surrogate)
    (board / "published").mkdir()
    (board / "published" / "paper.json").write_text('{"a": 1, "a": 2}', encoding="utf-8")
    (board / "studies" / "ratio").mkdir(parents=True)
    (board / "studies" / "ratio" / "ratios.json").write_text("[" * 200_000, encoding="utf-8")
    faults = {fault.path: fault.text for fault in verify(board, read_study=load_ratios).faults}
    paths = ["hostile/1/mini.json", "published/paper.json"]
    assert sorted(faults) == [*paths, "studies/ratio/ratios.json"]
    assert "half of a surrogate pair" in faults[paths[0]]
    done = run("leaderboard", "show", "--leaderboard", str(board), "--json")
    assert done.code == 0
    shown = json.loads(done.out)
    assert [row["model"] for row in shown["rows"]] == ["char-ngrams"]
    assert [refused["path"] for refused in shown["refused"]] == paths
    built = run("leaderboard", "build", "--leaderboard", str(board), "--out", str(tmp_path / "site"))
    assert built.code == 0
    for path in (*paths, "studies/ratio/ratios.json"):
        assert f"left out: {path}" in built.err


def test_a_submission_without_map_is_refused(saved: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    placed = submit(saved, board).record
    edit(placed, lambda data: data["scores"]["monolingual"].pop("map"))
    done = run("leaderboard", "show", "--leaderboard", str(board), "--json")
    assert done.code == 0
    assert [refused["path"] for refused in json.loads(done.out)["refused"]] == ["char-ngrams/1/mini.json"]


def test_a_key_that_stands_there_twice_is_found_at_once() -> None:
    text = "{" + ",".join(f'"{i}":0' for i in range(200_000)) + ',"199999":1}'  # took minutes
    with pytest.raises(ValueError, match="the key '199999' stands there twice"):
        strict_json.parse(text)


DEEP = "[" * 200_000
COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "recompute": lambda deep, out: ["recompute", str(deep)],
    "compare": lambda deep, out: ["compare", str(deep), str(deep.with_name("other.json"))],
    "pools": lambda deep, out: ["pools", str(deep)],
    "remedies": lambda deep, out: ["remedies", str(deep)],
    "languages": lambda deep, out: ["languages", str(deep)],
    "plot": lambda deep, out: ["plot", str(deep), "--output", str(out)],
    "export": lambda deep, out: ["export", "model-card", str(deep)],
    "reproduce": lambda deep, out: ["reproduce", str(deep), "--by", "me"],
    "submit": lambda deep, out: ["submit", str(deep), "--leaderboard", str(out)],
    "search": lambda deep, out: ["search", str(deep.parent), "where?"],
    "build": lambda deep, out: ["leaderboard", "build", "--json", str(deep), "--out", str(out)],
    "report": lambda deep, out: ["report", "ratios", str(deep.parent), "--output", str(out)],
    "exposure": lambda deep, out: ["exposure", "--task", "mini", "--data", str(deep)],
    "evaluate": lambda deep, out: ["evaluate", "char-ngrams", "--model-kwargs", DEEP[:50_000]],
}


def test_a_deeply_nested_task_file_is_one_clear_error(tmp_path: Path) -> None:
    task = tmp_path / "task.toml"
    task.write_text("a = " + DEEP, encoding="utf-8")
    done = run("evaluate", "char-ngrams", "--task", str(task))
    assert done.code == 1
    assert "nested too deeply" in done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_deep_nesting_is_one_clear_error(name: str, tmp_path: Path) -> None:
    deep = tmp_path / {"search": "index.json", "report": "study.json"}.get(name, "deep.json")
    deep.write_text(DEEP, encoding="utf-8")
    done = run(*COMMANDS[name](deep, tmp_path / "out.png"))
    assert done.code in (1, 2)
    assert sum(line.startswith("error: ") for line in done.err.splitlines()) == 1
    assert "nested more than 64 levels" in done.err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands there twice"),
        ('{"x": {"a": 1, "a": 1}}', "the key 'a' stands there twice"),
        ('["\\ud800"]', "half of a surrogate pair"),
        ('{"a": [0, {"b": "x\\ud800"}]}', "the text a.1.b holds half"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[NaN]", "NaN is no number of JSON"),
        ("[1e400]", "too large for a number"),
        ("[" + "9" * 5000 + "]", "a number of 5,000 digits is too large"),
        ("[" * 65 + "]" * 65, "nested more than 64 levels"),
        ("[" * 200_000, "nested more than 64 levels"),
        ('{"a":' * 200_000, "nested more than 64 levels"),
    ],
)
def test_strict_json_refuses(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        strict_json.parse(text)
    with pytest.raises(ValueError, match=re.escape(fault)):
        strict_json.parse(text.encode())


def test_strict_json_reads_what_is_json(tmp_path: Path) -> None:
    text = '{"a": [1, -2.5, true, null, "\\ud83d\\ude00", "\u0e01"], "b": {}}'
    assert strict_json.parse(text) == json.loads(text)
    assert strict_json.parse(b"\xef\xbb\xbf" + text.encode()) == json.loads(text)
    deepest = "[" * 64 + "]" * 64
    assert strict_json.parse(deepest) == json.loads(deepest)
    with pytest.raises(UnicodeDecodeError):
        strict_json.parse(b'"\xed\xa0\x80"')  # half of a surrogate pair in UTF-8, which the json module reads
    path = tmp_path / "large.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="more than the 10 allowed"):
        strict_json.read(path, 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["task"].update(n_questions=str(data["task"]["n_questions"])),
        lambda data: data["task"].update(n_questions=float(data["task"]["n_questions"])),
        lambda data: data["scores"]["multilingual"]["map"].update(
            value=str(data["scores"]["multilingual"]["map"]["value"])
        ),
        lambda data: data["ranks_file"].update(n_relevants=True),
    ],
)
def test_numbers_are_numbers(saved: Path, change: Callable[[Any], object]) -> None:
    edit(saved, change)
    with pytest.raises(XqrBenchError, match="does not follow the record schema"):
        load_record(saved)
