"""Random streams of a plan: one for each kind of draw, so that a change in one leaves the others as they are."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from xqr_bench.train.types import Int32


class Stream(IntEnum):
    """What is drawn. The numbers are part of every plan: never change one."""

    BATCH_TYPE = 0
    DATA_SET = 1
    BATCH_LANGUAGE = 2
    ROW_LANGUAGE = 3
    ROW_PAIR = 4
    BATCH_PAIR = 5
    ROW_TYPE = 6
    QUESTIONS = 7
    SHUFFLED_PASSAGES = 8
    ALLOWED_PAIRS = 9


def generator(seed: int, stream: Stream, data_set: int = 0) -> np.random.Generator:
    """The generator of one stream of one data set."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), data_set)))


def deck(rng: np.random.Generator, cards: int, n: int) -> Int32:
    """The first `n` cards of decks of `cards`, each shuffled anew; more cards continue the same sequence.

    Returns:
        int32 `[n]`, values 0..cards-1; each whole deck holds each once.
    """
    decks = -(-n // cards)
    shuffled = rng.permuted(np.tile(np.arange(cards, dtype=np.int32), (decks, 1)), axis=1)
    return np.ascontiguousarray(shuffled.reshape(-1)[:n])


def pair_deck(rng: np.random.Generator, languages: int, n: int) -> tuple[Int32, Int32]:
    """The first `n` ordered pairs of decks that hold each pair of two different languages once.

    A deck is dealt in rounds of `languages` pairs, in which each language comes once on either side: a ring of the
    languages, each with the one some places further. More pairs continue the same sequence.

    Returns:
        First and second languages, int32 `[n]` each.
    """
    decks = -(-n // (languages * (languages - 1)))
    rings, steps, orders = rng.spawn(3)
    ring = deck(rings, languages, decks * languages).reshape(decks, 1, languages)
    step = 1 + deck(steps, languages - 1, decks * (languages - 1)).reshape(decks, languages - 1, 1)
    place = deck(orders, languages, decks * (languages - 1) * languages).reshape(decks, languages - 1, languages)
    ring = np.broadcast_to(ring, place.shape)
    first = np.take_along_axis(ring, place, axis=2)
    second = np.take_along_axis(ring, (place + step) % languages, axis=2)
    return first.reshape(-1)[:n].astype(np.int32), second.reshape(-1)[:n].astype(np.int32)
