"""The integer weights with which two sets of instances get their shares of the traffic. Pure."""

from __future__ import annotations

from math import ceil

from fleet.backend import DEFAULT_WEIGHT, MAX_WEIGHT

# What a share may be off before the stable set's own weight is changed for it.
TOLERATED = 0.001


def wanted_canaries(share: float, stable: int) -> int:
    """How many canaries carry that share beside so many stable instances: the share of all of them, rounded up.

    At least one, so that there is something to judge.
    """
    return max(1, ceil(round(share * stable, 9)))


def weights(share: float, canaries: int, stable: int) -> tuple[int, int]:
    """The weight of one canary and of one stable instance, from 0 to 256 each, for a share from 0 to below 1.

    The stable ones keep the default weight where that comes close enough, so that they need not be told anew; else
    the nearest ratio. With nobody on one side the other keeps the default: there is nothing to divide.
    """
    if not canaries or not stable:
        return DEFAULT_WEIGHT, DEFAULT_WEIGHT
    if share <= 0:
        return 0, DEFAULT_WEIGHT
    ratio = share * stable / ((1 - share) * canaries)
    usual = _bounded(ratio * DEFAULT_WEIGHT)
    if abs(share_of((usual, DEFAULT_WEIGHT), canaries, stable) - share) <= TOLERATED:
        return usual, DEFAULT_WEIGHT
    pairs = ((_bounded(ratio * one), one) for one in range(1, MAX_WEIGHT + 1))
    return min(pairs, key=lambda pair: (abs(share_of(pair, canaries, stable) - share), -pair[1]))


def share_of(pair: tuple[int, int], canaries: int, stable: int) -> float:
    """The share that a canary set gets with these weights of one canary and of one stable instance."""
    ours, all_of_it = pair[0] * canaries, pair[0] * canaries + pair[1] * stable
    return ours / all_of_it if all_of_it else 0.0


def _bounded(weight: float) -> int:
    return min(MAX_WEIGHT, max(1, round(weight)))
