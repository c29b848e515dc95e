"""What a file (a record, a saved index) may ask of the encoder it names: nothing that decides which code runs.

What a file says about itself proves nothing, so the decision rests on the MODEL string and the arguments alone, never
on the kind of encoder that the file claims.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UsageError
from xqr_bench.encode.mteb_model import asks_a_server
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.encode.providers import is_endpoint
from xqr_bench.encode.python_object import is_python_spec

_DTYPES = frozenset({"auto", "float32", "float16", "bfloat16"})
# A name of an attention outside this list is a repository of the hub, whose kernels transformers loads and runs.
_ATTENTIONS = frozenset({"eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3"})
_HARMLESS = {"dtype": _DTYPES, "torch_dtype": _DTYPES, "attn_implementation": _ATTENTIONS}
_OF_THE_USER = frozenset({"device", "batch_size", "token_budget", "trust_remote_code", "encoder_arg"})


def refuse_code(model: str, where: str) -> None:
    """Refuse a MODEL string that is Python code, or the address of a server, which would be given a key.

    Args:
        model: as the file has it.
        where: the file, as the message calls it.

    Raises:
        UsageError: it is `module:Object` or `file.py:Object`, an address, or a model of mteb that is behind one.
    """
    if is_endpoint(model) or asks_a_server(model):
        raise UsageError(
            f"{where} names an endpoint, which is asked, and perhaps paid, only when you name it yourself",
            found=model,
            remedy=f"if you trust it: --model {model}",
        )
    if is_python_spec(model):
        raise UsageError(
            f"{where} names Python code, which is run only when you name it yourself",
            found=model,
            remedy="look at the code, then name it: --model file.py:Object",
        )


def risky_arguments(arguments: object) -> dict[str, Any]:
    """Those of a model's keyword arguments that can decide which code runs, or are not known to be harmless.

    Args:
        arguments: what stands in a file under `model_kwargs`: an object, its JSON text, or nothing.
    """
    if isinstance(arguments, str):
        try:
            arguments = strict_json.parse(arguments)
        except ValueError:
            return {"model_kwargs": arguments}
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        return {"model_kwargs": arguments}
    return {
        str(name): value
        for name, value in arguments.items()
        if not isinstance(value, str) or value.removeprefix("torch.") not in _HARMLESS.get(str(name), ())
    }


def options_from_file(given: Mapping[str, Any], user: EncoderOptions, where: str) -> EncoderOptions:
    """The options that a file has, with those that only the user decides.

    Args:
        given: option -> value, as the file has them; what is no option is left out.
        user: device, sizes of batches, leave to run remote code and arguments of Python code are taken from here;
            `model_kwargs` too where the user gives any.
        where: the file, as the message calls it.

    Raises:
        UsageError: the file has arguments for the model or for Python code that could decide which code runs, and the
            user gives none; or a value that the option cannot have.
    """
    if given.get("encoder_arg") and not user.encoder_arg:
        raise UsageError(
            f"{where} has arguments for the encoder that can decide which code runs",
            found=json.dumps(given["encoder_arg"], default=str)[:400],
            remedy="look at them, then give those that you trust yourself: --encoder-arg KEY=VALUE",
        )
    names = {field.name for field in fields(EncoderOptions)} - _OF_THE_USER
    options = {name: value for name, value in given.items() if name in names and value is not None}
    if user.model_kwargs:
        options["model_kwargs"] = dict(user.model_kwargs)
    else:
        risky = risky_arguments(options.get("model_kwargs"))
        if risky:
            raise UsageError(
                f"{where} has arguments for the model that can decide which code runs",
                found=json.dumps(risky, default=str)[:400],
                remedy="look at them, then give those that you trust yourself: --model-kwargs '{\"key\": ...}'",
            )
        if isinstance(options.get("model_kwargs"), str):
            options["model_kwargs"] = strict_json.parse(options["model_kwargs"])
    options |= {name: getattr(user, name) for name in _OF_THE_USER}
    try:
        return TypeAdapter(EncoderOptions).validate_json(json.dumps(options), strict=True)
    except ValidationError as error:
        raise UsageError(
            f"{where} has an option that cannot be meant: {strict_json.first_fault(error)}",
            remedy="get the file again from where it was made",
        ) from error
