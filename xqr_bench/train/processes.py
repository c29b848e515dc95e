"""Several processes that train one model (torchrun, accelerate launch): which this is, and how many there are."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this is the process that writes and tells; the only one where there are no others."""
    return int(os.environ.get("RANK", "0")) == 0


def on_cpu(device: str | None) -> bool:
    """Whether training on this device is training on the CPU; None: the best device there is."""
    import torch

    return device == "cpu" or (device is None and not torch.accelerator.is_available())


def count(device: str | None) -> int:
    """Number of processes that train together on such devices; joins them.

    Without a GPU, accelerate takes processes for separate ones unless it is told to use the CPU.
    """
    from accelerate import PartialState

    return int(PartialState(cpu=on_cpu(device)).num_processes)
