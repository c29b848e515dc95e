"""Shared by all tests: where the real data is, and no network."""

from __future__ import annotations

import os
import shutil
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.tasks.loopback import Loopback
from xqr_bench.record import Record

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# no test touches the user's own vectors; the folder goes when the process ends
_CACHE = tempfile.TemporaryDirectory(prefix="xqr-bench-tests-", ignore_cleanup_errors=True)
os.environ["XQR_BENCH_CACHE"] = _CACHE.name
os.environ.pop("XQR_BENCH_CACHE_LIMIT", None)

# how fast a machine is, and how lucky a seed, is no fault
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
settings.load_profile("any machine")

DATA = os.environ.get("XQR_BENCH_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs the real data: set XQR_BENCH_DATA")
VECTORS = Path(DATA).parent / "embeddings" / "all-minilm-l6-v2" if DATA else Path("nowhere")
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="needs real vectors beside the real data: $XQR_BENCH_DATA/../embeddings"
)


@pytest.fixture(scope="session")
def record() -> Record:
    """The embedded task by its own encoder; nobody changes it."""
    from xqr_bench import evaluate

    return evaluate("char-ngrams", "mini")


# A tiny transformer with random weights, saved as sentence-transformers and as plain transformers model.


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without modules.json: a BERT of one layer, 16 dimensions, 64 positions, letters as tokens."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    folder.mkdir()
    letters = string.ascii_lowercase + "?.:"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    BertTokenizerFast.from_pretrained(folder, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(plain_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with a query prompt and the dot product as similarity."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("models") / "tiny"
    prompts = {"query": "ask: ", "title": "title: "}
    loaded = SentenceTransformer(str(plain_model), device="cpu", prompts=prompts, similarity_fn_name="dot")
    loaded.save(str(folder))
    return folder


@pytest.fixture(scope="session")
def cross_encoder(plain_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CrossEncoder folder, as the library saves it; without the file of its modules it is a plain classifier."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    plain, folder = tmp_path_factory.mktemp("models") / "classifier", tmp_path_factory.mktemp("models") / "tiny-ce"
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(plain_model, num_labels=1, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(plain)
    BertTokenizerFast.from_pretrained(plain_model).save_pretrained(plain)
    CrossEncoder(str(plain), device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def sparse_model(plain_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SPLADE over the letters of the tiny transformer; half of its columns are never above zero."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer
    from transformers import BertConfig, BertForMaskedLM

    base = tmp_path_factory.mktemp("sparse") / "masked"
    shutil.copytree(plain_model, base)
    torch.manual_seed(1)
    masked = BertForMaskedLM(BertConfig.from_pretrained(base))
    with torch.no_grad():
        masked.cls.predictions.bias += torch.linspace(-1.0, 0.2, masked.config.vocab_size)
    masked.save_pretrained(base)
    folder = base.parent / "tiny-splade"
    modules = [Transformer(str(base), transformer_task="fill-mask"), SpladePooling("max")]
    SparseEncoder(modules=modules, prompts={"query": "ask: "}, similarity_fn_name="dot", device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def late_model(plain_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight columns, queries filled up to 20 tokens, and a list of signs that do not count in documents."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.base.modules.dense import Dense
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(2)
    expansion = {"strategy": "fixed", "attend": False, "length": 20}
    modules = [
        Transformer(str(plain_model), query_expansion=expansion, document_length=40),
        Dense(16, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"),
        MultiVectorMask(skiplist_words=["?", "."]),
        Normalize(module_input_name="token_embeddings"),
    ]
    folder = tmp_path_factory.mktemp("late") / "tiny-late"
    MultiVectorEncoder(modules=modules, prompts={"query": "q: ", "document": "d: "}, device="cpu").save(str(folder))
    return folder


@pytest.fixture
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the data, cache or proxies of the machine it runs on."""
    for name in ("XQR_BENCH_DATA", "XQR_BENCH_MIRROR", "XQR_BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server on the loopback interface; pauses between attempts are recorded, not slept."""
    with Loopback() as server:
        monkeypatch.setattr("xqr_bench.tasks.sources.time.sleep", server.pauses.append)
        yield server
