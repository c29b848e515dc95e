"""What a model computes on: the choice of a device, how much it is given at a time, and how texts and vectors move."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.encode.bound import Lanes, Limits, cpu_lanes
from xqr_bench.encode.options import EncoderOptions


def choose_device(asked: str | None) -> str:
    """The device asked for, else the best there is: cuda, then mps, then cpu.

    Raises:
        EncoderError: there is no such device here.
        UsageError: several are named.
    """
    import torch

    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if asked is None:
        return present[0]
    if "," in asked:
        raise UsageError(f"--device {asked} names several devices, and here one is used", remedy="name one")
    try:
        kind = torch.device(asked).type
    except (RuntimeError, ValueError):
        kind = ""
    if asked not in present and kind in ("", "cuda", "mps"):  # other kinds torch knows: let it try
        raise EncoderError(
            f"there is no device {asked!r} here",
            found=", ".join(present),
            remedy="leave --device out to take the first of these, or name one",
        )
    return asked


def computes_in(dtype: str) -> bool:
    """Whether this processor multiplies matrices in bfloat16 or float16; if not, torch emulates it, many times slower.

    True for float32, and where torch cannot tell.
    """
    import torch

    probe = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}.get(dtype)
    if probe is None or not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, probe):
        return True
    return bool(getattr(torch.ops.mkldnn, probe)())


# Tokens with padding in a batch. On CPUs larger ones leave the caches (measured by tests/benchmarks/bench_encode.py);
# in bfloat16 they take half the room, and a kernel is made for each new size of a batch. Elsewhere 16,384 is what the
# library's 32 texts of 512 tokens take; more would be filled up with padding: of the questions of XQuAD-R 5% there, 11%
# at 32,768 and 22% at 65,536.
CPU_TOKENS, CPU_TOKENS_16_BIT, DEVICE_TOKENS = 2048, 4096, 16_384
LEAST_TOKENS = 1024
"""On a GPU whose memory the model nearly fills; where that is too much, batches are halved as memory runs out."""
MOST_ROWS = 512
DEVICE_LANES = 3
"""Batches under way beside one another on a GPU: one is tokenised and one copied back while the GPU computes a third.
What is computed there stays in one stream, batch after batch, so the vectors are those of one lane."""
ROWS_OF_UNKNOWN_LENGTH = 32


def config_of(model: Any) -> Any:
    """The configuration of the transformer; None where the model is another."""
    return getattr(getattr(model[0], "auto_model", None), "config", None)


def limits_of(options: EncoderOptions, model: Any, *, measured: bool) -> Limits:
    """What bounds a batch.

    Raises:
        UsageError: a token budget for a model whose tokens cannot be counted.
    """
    if not measured:
        if options.token_budget is not None:
            raise UsageError(
                "--token-budget cannot be used with this model: its tokens cannot be counted",
                remedy="give --batch-size instead",
            )
        return Limits(options.batch_size or ROWS_OF_UNKNOWN_LENGTH)
    return Limits(options.batch_size or MOST_ROWS, options.token_budget or _tokens_for(model))


def _tokens_for(model: Any) -> int:
    """Tokens with padding in a batch, where nobody says how many."""
    if model.device.type == "cpu":
        return CPU_TOKENS_16_BIT if str(getattr(model, "dtype", "")).endswith("16") else CPU_TOKENS
    total = total_memory(model.device)
    return DEVICE_TOKENS if total is None else fitting_tokens(model, total)


def total_memory(device: Any) -> int | None:
    """Memory of a GPU in bytes, whoever uses it, to the nearest GiB; None: unknown.

    Drivers keep some megabytes for themselves, which are not the same everywhere.
    """
    import torch

    if device.type != "cuda" or not torch.cuda.is_available():
        return None
    total: int = torch.cuda.get_device_properties(device).total_memory
    return round(total / 2**30) * 2**30


def fitting_tokens(model: Any, total: int) -> int:
    """The largest power of two of tokens with which a batch takes a quarter of what the weights leave of a GPU.

    A vector's last bits depend on its batch. So this is found from what the GPU has, not from what is free on it: the
    same model has the same batches on every GPU of a kind, whatever else uses it.

    What a token takes at the widest place of a layer is reckoned: its states and what attention makes of them, 8 times
    the hidden size; 3 times that within; a row of the mask; without SDPA the weights of attention, twice.

    Args:
        model: a transformer; of any other kind DEVICE_TOKENS.
        total: memory of the GPU in bytes.

    Returns:
        DEVICE_TOKENS at most, LEAST_TOKENS at least.
    """
    config = config_of(model)
    config = getattr(config, "get_text_config", lambda: config)()
    hidden = getattr(config, "hidden_size", None)
    if not isinstance(hidden, int):
        return DEVICE_TOKENS
    within = getattr(config, "intermediate_size", None)
    limits = (getattr(model, "max_seq_length", None), getattr(config, "max_position_embeddings", None))
    length = min((one for one in limits if isinstance(one, int) and one <= 10**9), default=512)
    rows_of_mask = 1
    if getattr(config, "_attn_implementation", None) == "eager":
        rows_of_mask += 2 * int(getattr(config, "num_attention_heads", 1))
    weights = list(model.parameters())
    width = max((one.element_size() for one in weights), default=4)
    a_token = width * (8 * hidden + 3 * (within if isinstance(within, int) else 4 * hidden)) + 4 * length * rows_of_mask
    room = (total - sum(one.numel() * one.element_size() for one in weights)) // 4
    tokens = DEVICE_TOKENS
    while tokens > LEAST_TOKENS and tokens * a_token > room:
        tokens //= 2
    return tokens


def safe_in_threads(model: Any) -> bool:
    """Whether two threads may call the model: False for code of its own, and for positions that change as it reads."""
    libraries = ("sentence_transformers.", "transformers.", "torch.")
    if not all(type(module).__module__.startswith(libraries) for module in model.modules()):
        return False
    ropes = [getattr(config_of(model), name, None) for name in ("rope_parameters", "rope_scaling")]
    return not any(kind in str(rope) for rope in ropes for kind in ("dynamic", "longrope"))


def lanes_of(model: Any, transfers: Transfers) -> Lanes:
    """How many batches of a model are under way together."""
    if not safe_in_threads(model):
        return Lanes()
    return cpu_lanes() if model.device.type == "cpu" else Lanes(DEVICE_LANES, around=transfers.around)


class Transfers:
    """Tokens of a model's batches go to its GPU, and vectors come back, while the GPU computes other batches.

    Through pinned memory, which a GPU reads and writes by itself, and vectors in a stream of their own: in that of the
    forward passes a copy would wait for the next batch. The forward passes stay in one stream. On a device without
    such memory these are plain copies.

    Args:
        model: a SentenceTransformer.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._streams: dict[Any, Any] = {}

    @property
    def pinned(self) -> bool:
        """Whether there is pinned memory."""
        import torch

        return bool(self._model.device.type == "cuda" and torch.cuda.is_available())

    @contextmanager
    def around(self) -> Iterator[None]:
        """While batches are encoded the tokens that the model makes of texts are brought to its device by `there`."""
        plain = self._model.preprocess
        own = vars(self._model).get("preprocess")
        self._model.preprocess = lambda *texts, **options: self.there(plain(*texts, **options))
        try:
            yield
        finally:
            del self._model.preprocess  # that of its class again
            if own is not None:
                self._model.preprocess = own

    def there(self, features: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Begin to copy the tensors of a batch to the device; what is computed there waits for them."""
        import torch

        for name, value in features.items():
            if isinstance(value, torch.Tensor):
                # torch keeps what is pinned until it is copied
                value = value.pin_memory() if self.pinned and value.device.type == "cpu" else value
                features[name] = value.to(self._model.device, non_blocking=True)
        return features

    def here(self, vectors: Any) -> Any:
        """A tensor on the processor, complete."""
        import torch

        if not self.pinned or vectors.device.type != "cuda":
            return vectors.cpu()
        device = vectors.device
        stream = self._streams.setdefault(device, torch.cuda.Stream(device))
        computed = torch.cuda.current_stream(device).record_event()
        copied = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        with torch.cuda.stream(stream):
            stream.wait_event(computed)
            copied.copy_(vectors, non_blocking=True)
            stream.record_event().synchronize()  # so the vectors there outlive the copy
        return copied
