"""What MODEL can be, in which order it is tried, and what is said when it is nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.encode.toys import TOY, Counting, Symmetric
from tests.kit import ran
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.files import digest_of_files
from xqr_bench.encode import ENCODER_KINDS, Encoder, EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.weights import digest_of_folder

SOURCE = '''
import numpy as np


class Mine:
    """Three lines."""

    def encode(self, texts):
        return np.array([[len(text), 1.0] for text in texts])


class Needy:
    def __init__(self, path):
        self.path = path


class Deaf:
    def represent(self, texts):
        return []


class Half:
    def encode_queries(self, texts):
        return []


class Far(Mine):
    similarity = "euclidean"


class Method(Mine):
    similarity_fn_name = "dot"

    def similarity(self, a, b):
        return a @ b.T


class Unnamed(Method):
    similarity_fn_name = None

    def similarity(self, a, b):
        return -np.linalg.norm(a[:, None] - b[None], axis=2)


class Retriever:
    def encode(self, texts, *, index):
        return []


class Asked(Mine):
    @property
    def name(self):
        raise ValueError("no name")


class Raising:
    def encode(self, texts):
        return np.linalg.inv(np.zeros((2, 2)))

    def close(self):
        raise OSError("not open")


instance = Mine()
number = 3


def make():
    return Mine()


def broken():
    raise ValueError("no weights")
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with my_encoder.py, nothing of it left behind in the interpreter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_encoder.py").write_text(SOURCE)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if "my_encoder" in name or "broken_module" in name:
            del sys.modules[name]


@pytest.mark.parametrize("where", ["my_encoder", "my_encoder.py", "./my_encoder.py"])
@pytest.mark.parametrize("name", ["Mine", "instance", "make"])
def test_class_instance_or_factory_from_module_or_file(here: Path, where: str, name: str) -> None:
    bound = load_encoder(f"{where}:{name}")
    assert embed_tasks(bound, [TOY])["toy"].queries[0].tolist() == [len("Who wrote it?"), 1.0]
    identity = bound.identity
    assert (bound.name, identity.kind, identity.name) == ("Mine", "python", f"{where.removeprefix('./')}:{name}")
    assert identity.digest == digest_of_files([("my_encoder.py", here / "my_encoder.py")])
    assert bound.symmetric
    assert isinstance(bound, Encoder)


def test_the_digest_follows_the_source(here: Path) -> None:
    first = load_encoder("my_encoder.py:Mine").identity.digest
    (here / "my_encoder.py").write_text(SOURCE + "\n# changed\n")
    assert load_encoder("my_encoder.py:Mine").identity.digest != first


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_encodr:Mine", "no Python module 'my_encodr'\n  found: 'my_encodr' is neither .*; closest: my_encoder"),
        ("json.nothing:Mine", "there is no Python module 'json.nothing'"),
        ("my_encodr.py:Mine", "there is no file my_encodr.py\n  found: closest: my_encoder.py"),
        ("my_encoder.py:Mien", "my_encoder.py has no 'Mien'\n  found: closest: Mine"),
        ("my_encoder:Qqq", "my_encoder has no 'Qqq'\n  found: it has: np, Mine, Needy"),
        (
            "my_encoder:broken",
            r"called without arguments.*\n  found: ValueError: no weights \(my_encoder.py, line \d+\)",
        ),
        ("my_encoder:Needy", "found: TypeError: .*'path'\n  to do: .* needs no arguments"),
        (
            "my_encoder:number",
            "cannot encode queries: it has none .*\n  found: a int with the methods: as_integer_ratio",
        ),
        (
            "my_encoder:Deaf",
            r"none of the methods encode_queries, encode_query, encode\n  found: a Deaf with the methods: represent",
        ),
        (
            "my_encoder:Half",
            "cannot encode candidates: .*\n  found: a Half with the methods: encode_queries\n  to do: give it encode",
        ),
        (
            "my_encoder:Far",
            "declares the similarity 'euclidean'; a similarity without a matrix product cannot be ranked here",
        ),
        (
            "my_encoder:Unnamed",
            r"the similarity 'of a method similarity\(\)'.*\n.*\n.*--similarity cosine, or dot",
        ),
        ("my_encoder:Retriever", r"called with a list of texts alone\n  found: .*'index'\n  to do: wrap it "),
        ("my_encoder:Asked", r"found: ValueError: no name \(my_encoder.py, line \d+\)"),
        (
            "my_encoder.py",
            "my_encoder.py is a file, not a model\n  to do: name the encoder in it: my_encoder.py:Object",
        ),
        ("./nowhere", "there is no folder ./nowhere"),
        ("a/b/c", "there is no folder a/b/c"),
        ("two words", "'two words' names no encoder\n  found: known names: char-ngrams"),
        ("what:ever it is", "names no encoder"),
        ("twice--parted", "names no encoder"),
        ("ends-in.git", "names no encoder"),
        ("x" * 97, "names no encoder"),
    ],
)
def test_what_is_said_when_it_cannot_be_had(here: Path, spec: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load_encoder(spec)


def test_a_module_that_fails_says_so_and_keeps_the_cause(here: Path) -> None:
    (here / "broken_module.py").write_text("import no_such_library\n")
    for spec in ("broken_module:Mine", "broken_module.py:Mine"):
        with pytest.raises(
            EncoderError, match=r"importing broken_module.* failed\n.*No module named 'no_such_library'"
        ) as caught:
            load_encoder(spec)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_method_named_similarity_is_asked_for_its_name(here: Path) -> None:
    assert load_encoder("my_encoder.py:Method").similarity == "dot"
    assert load_encoder("my_encoder.py:Unnamed", EncoderOptions(similarity="cosine")).similarity == "cosine"


def test_an_error_in_an_encoder_names_the_line_that_called_what_failed(here: Path) -> None:
    line = SOURCE.splitlines().index("        return np.linalg.inv(np.zeros((2, 2)))") + 1
    bound = load_encoder("my_encoder.py:Raising")
    with pytest.raises(EncoderError, match=rf"LinAlgError: Singular matrix \(my_encoder.py, line {line}\)"):
        embed_tasks(bound, [TOY])
    with pytest.raises(EncoderError, match=rf"found: OSError: not open \(my_encoder.py, line {line + 3}\)"):
        bound.close()
    (here / "broken_module.py").write_text("import no_such_library\n")
    with pytest.raises(EncoderError, match=r"\(broken_module.py, line 1\)"):
        load_encoder("broken_module.py:Mine")


def test_a_line_break_written_as_two_characters_is_one() -> None:
    asked = EncoderOptions(query_prompt="Instruct: find\\nQuery: ", candidate_context="paragraph")
    bound = load_encoder(Symmetric(), asked)
    assert bound.identity.query_prompt == "Instruct: find\nQuery: "
    assert bound.warnings == [r"\n in a prompt or template was read as a line break"]
    template = EncoderOptions(candidate_context="paragraph", context_template=r"{sentence}\n{paragraph}")
    assert load_encoder(Symmetric(), template).identity.candidate_context == "{sentence}\n{paragraph}"


def test_the_neighbours_of_a_file_can_be_imported(here: Path) -> None:
    (here / "deep").mkdir()
    (here / "deep" / "beside_my_encoder.py").write_text("from my_encoder import Mine\n")
    (here / "deep" / "top_my_encoder.py").write_text("from beside_my_encoder import Mine\n")
    sys.path.insert(0, str(here))
    assert load_encoder("deep/top_my_encoder.py:Mine").name == "Mine"


def test_a_registered_name_comes_before_a_folder(here: Path) -> None:
    (here / "char-ngrams").mkdir()
    assert load_encoder("char-ngrams").identity.kind == "builtin"
    with pytest.raises(EncoderError, match=r"the folder char-ngrams holds no model.*\n  found: an empty folder"):
        load_encoder("./char-ngrams")


def test_a_near_miss_mentions_the_registered_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match=r"no model 'char-ngram' here.*\n.*closest built-in or plugin: char-ngrams"):
        load_encoder("char-ngram")


def test_python_objects() -> None:
    counting = Counting()
    bound = load_encoder(counting)
    assert (bound.name, bound.identity.name, bound.symmetric) == ("counting", "Counting", False)
    assert load_encoder(Symmetric).name == "Symmetric"
    assert load_encoder(bound) is bound
    with pytest.raises(EncoderError, match="counting is loaded already"):
        load_encoder(bound, EncoderOptions(name="x"))
    with pytest.raises(EncoderError, match=r"has no matrix product|cannot encode queries"):
        load_encoder(3)


def test_optional_attributes_are_read() -> None:
    class Full(Symmetric):
        name = "full"
        similarity = "dot"
        revision = 7
        device = "cpu"
        closed = False

        def close(self) -> None:
            self.closed = True

    made: list[Full] = []

    def make() -> Full:
        made.append(Full())
        return made[0]

    bound = load_encoder(make)
    assert (bound.name, bound.similarity, bound.identity.revision, bound.device) == ("full", "dot", "7", "cpu")
    bound.close()
    assert made[0].closed
    mine = Full()
    load_encoder(mine).close()
    assert not mine.closed  # whoever made it closes it
    load_encoder(Symmetric()).close()  # no close() of its own


def test_sentence_transformers_methods_are_found() -> None:
    class Style(Counting):
        encode_query = Counting.encode_queries
        encode_document = Counting.encode_candidates
        encode_queries = None
        encode_candidates = None

    style = Style()
    embed_tasks(load_encoder(style), [TOY])
    assert [role for role, _ in style.calls] == ["query", "candidate"]


def test_without_source_there_is_no_digest_but_a_warning() -> None:
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Typed:\n    def encode(self, texts): return [[1.0] for _ in texts]", space)
    bound = load_encoder(space["Typed"])
    assert bound.identity.digest is None
    assert bound.warnings == ["the source of Typed cannot be found: its record cannot say which code made the vectors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": "euclidean"}, "--similarity cannot be 'euclidean'\n  to do: use one of: cosine, dot"),
        ({"dtype": "int8"}, "--dtype cannot be 'int8'\n  to do: use one of: float32, bfloat16, float16"),
        ({"batch_size": 0}, "--batch-size cannot be 0"),
        ({"truncate_dim": -1}, "--truncate-dim cannot be -1"),
        ({"prompt_name": "a", "query_prompt": "b"}, "--prompt-name and --query-prompt both"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncoderOptions(**options)


def test_an_option_without_meaning_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"--revision, --trust-remote-code cannot be used with a Python encoder \(char-ngrams\)"
    ):
        load_encoder("char-ngrams", EncoderOptions(revision="x", trust_remote_code=True))


def test_folder_digest_knows_names_and_contents_but_not_leftovers(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "model.bin").write_text("weights")
    first = digest_of_folder(tmp_path)
    for leftover in (".git/config", "__pycache__/x.pyc", "checkpoint-500/model.bin", ".gitattributes"):
        (tmp_path / leftover).parent.mkdir(exist_ok=True)
        (tmp_path / leftover).write_text("leftover")
    assert digest_of_folder(tmp_path) == first
    (tmp_path / "model.bin").rename(tmp_path / "other.bin")
    renamed = digest_of_folder(tmp_path)
    (tmp_path / "other.bin").write_text("Weights")
    assert len({first, renamed, digest_of_folder(tmp_path)}) == 3


def test_folder_digest_follows_links_and_what_modules_name(tmp_path: Path) -> None:
    shared, model = tmp_path / "shared", tmp_path / "model"
    for folder in (shared, model, model / "checkpoint-1"):
        folder.mkdir()
    (shared / "model.bin").write_text("weights")
    (model / "0_Transformer").symlink_to("../shared")
    (shared / "round").symlink_to("../model")  # a circle
    (model / "checkpoint-1" / "model.bin").write_text("weights")
    digests = [digest_of_folder(model)]
    (shared / "model.bin").write_text("others")
    digests.append(digest_of_folder(model))
    (model / "checkpoint-1" / "model.bin").write_text("others")
    assert digest_of_folder(model) == digests[1]
    (model / "modules.json").write_text('[{"path": "checkpoint-1"}]')
    digests.append(digest_of_folder(model))
    (model / "checkpoint-1" / "model.bin").write_text("weights")
    digests.append(digest_of_folder(model))
    assert len(set(digests)) == 4


def test_a_folder_with_a_link_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.encode.weights.MOST_FILES", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    with pytest.raises(EncoderError, match="more than 2 files, with what links in it lead to"):
        digest_of_folder(tmp_path)


def test_the_command_lists_everything() -> None:
    shown = ran("encoders").out
    for kind in ENCODER_KINDS:
        assert kind.form in shown
    assert "char-ngrams  built in" in shown
    found = json.loads(ran("encoders", "--json").out)
    assert found["names"]["char-ngrams"] == "built in"
    assert [kind["form"] for kind in found["kinds"]] == [kind.form for kind in ENCODER_KINDS]
    for name in ("bm25", "random", "oracle", "run"):
        assert f"{name} " in shown
        assert found["rankers"][name] in " ".join(shown.split())
    assert found["rankers"]["oracle"] == "The ceiling: all relevants on top, tied."
