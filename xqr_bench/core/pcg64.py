"""numpy's PCG64 inside of compiled loops: the same stream, and a jump over numbers that nobody needs.

A number of 128 bits is two of 64, the high one first. A step is state * multiplier + increment; a jump over many steps
is one such step with another multiplier and increment (O'Neill 2014, PCG, section 4.3.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from xqr_bench.core.jit import compiled

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


def _halves(*numbers: int) -> NDArray[np.uint64]:
    return np.array([half for number in numbers for half in (number >> 64, number & (2**64 - 1))], dtype=np.uint64)


def pcg64_state(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a generator, for the loops to advance, and its step: uint64 `[6]`."""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise TypeError(f"the generator is of the kind {state['bit_generator']}, not PCG64")
    return _halves(state["state"]["state"], _MULTIPLIER, state["state"]["inc"])


def pcg64_jump(generator: np.random.Generator, steps: int) -> NDArray[np.uint64]:
    """So many steps of a generator as one: multiplier and increment, uint64 `[4]`."""
    all_bits = 2**128 - 1
    multiplier, increment = 1, 0
    power, plus = _MULTIPLIER, generator.bit_generator.state["state"]["inc"]
    while steps:
        if steps & 1:
            multiplier = multiplier * power & all_bits
            increment = increment * power + plus & all_bits
        plus = (power + 1) * plus & all_bits
        power = power * power & all_bits
        steps >>= 1
    return _halves(multiplier, increment)


@intrinsic  # type: ignore[untyped-decorator]
def _high_product(context: Any, a: Any, b: Any) -> Any:
    """The high half of the product of two numbers of 64 bits, which numba has no name for."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), code


@compiled()
def pcg64_step(state: NDArray[np.uint64], step: NDArray[np.uint64]) -> None:
    """Advance the first two of `state` by one step or jump, uint64 `[4]`."""
    high, low = state[0], state[1]
    by_low = low * step[1]
    new_low = by_low + step[3]
    carry = np.uint64(new_low < by_low)
    state[0] = _high_product(low, step[1]) + high * step[1] + low * step[0] + step[2] + carry
    state[1] = new_low


@compiled()
def pcg64_uniform(state: NDArray[np.uint64]) -> float:
    """The next number of `generator.random()`."""
    pcg64_step(state, state[2:])
    mixed, turn = state[0] ^ state[1], state[0] >> np.uint64(58)
    turned = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    return float(turned >> np.uint64(11)) * 2.0**-53
