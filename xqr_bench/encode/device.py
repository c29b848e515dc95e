"""Where a torch model runs."""

from __future__ import annotations

from xqr_bench.errors import EncoderError


def choose_device(asked: str | None) -> str:
    """The device asked for, else the best there is: cuda, then mps, then cpu.

    Raises:
        EncoderError: there is no such device here.
    """
    import torch

    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if asked is None:
        return present[0]
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
