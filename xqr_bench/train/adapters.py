"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) by peft: put into a transformer, trained alone, merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xqr_bench.core.errors import UsageError, code_of_others
from xqr_bench.train.initial import copy_model


def add_adapters(model: Any, given: Mapping[str, Any], seed: int) -> None:
    """Put adapters into a model; all else in it is frozen.

    Args:
        model: a SentenceTransformer of a transformer.
        given: `rank`, and further arguments of peft's `LoraConfig`: lora_alpha, lora_dropout, target_modules, ...
        seed: of their initial weights.

    Raises:
        UsageError: the model has no transformer, or more than adapters would be trained.
        EncoderError: peft refuses the arguments.
    """
    import torch
    from peft import LoraConfig

    if not model.has_peft_compatible_model():
        raise UsageError("--lora needs a transformer, which this base is not", remedy="leave --lora out")
    values = {name: value for name, value in given.items() if name != "rank"}
    with (
        code_of_others("the adapters cannot be made", "correct --lora: peft's LoraConfig says what there is"),
        torch.random.fork_rng(devices=[]),
    ):
        torch.manual_seed(seed)
        model.add_adapter(LoraConfig(r=given["rank"], task_type="FEATURE_EXTRACTION", **values))
    of_transformer = model.transformers_model.named_parameters()
    more = [name for name, parameter in of_transformer if parameter.requires_grad and "lora_" not in name]
    if more:
        raise UsageError(
            "--lora trains nothing but its adapters, and these arguments ask for more",
            found=f"{len(more)} other weights, such as {more[0]}",
            remedy="leave bias, modules_to_save and the like out",
        )
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            parameter.requires_grad_(False)


def has_adapters(model: Any) -> bool:
    """Whether there are adapters in the model."""
    return any(hasattr(module, "lora_A") for module in model.modules())


def merge_adapters(model: Any) -> None:
    """Add the adapters to the weights they stand beside, and take them out: the model is an ordinary one again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BaseTunerLayer):
                child.merge()
                setattr(module, name, child.get_base_layer())
    transformer = model.transformers_model
    transformer._hf_peft_config_loaded = False
    transformer.__dict__.pop("peft_config", None)
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def merged(model: Any) -> Any:
    """The model as it is, or a copy of it with its adapters merged."""
    if not has_adapters(model):
        return model
    whole = copy_model(model)
    merge_adapters(whole)
    return whole
