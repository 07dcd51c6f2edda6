"""Numbers that look like chance and follow from a seed alone.

Not :mod:`random`: draws here are keyed, so that any tick of any coin can be computed without those
before it, and they stay the same from one Python version to the next.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(*keys: int) -> int:
    """Return 64 well-mixed bits that depend on every key (splitmix64's finaliser, chained)."""
    state = 0
    for key in keys:
        state = (state + key + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class Chance:
    """A stream of draws from a key."""

    __slots__ = ("_state",)

    def __init__(self, *keys: int) -> None:
        """Begin the stream that belongs to these keys."""
        self._state = mix(*keys)

    def bits(self) -> int:
        """Return the next 64 bits."""
        self._state = mix(self._state)
        return self._state

    def unit(self) -> float:
        """Return the next number in [0, 1)."""
        return (self.bits() >> 11) / (1 << 53)

    def below(self, end: int) -> int:
        """Return the next whole number in [0, end)."""
        return self.bits() % end

    def happens(self, probability: float) -> bool:
        """Say whether something of that probability comes to pass."""
        return self.unit() < probability

    def choose(self, shares: Sequence[tuple[T, float]], otherwise: T) -> T:
        """Return an option with the probability beside it, *otherwise* with what is left."""
        roll = self.unit()
        for option, share in shares:
            roll -= share
            if roll < 0:
                return option
        return otherwise

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]


# Each octave holds its step for 2**shift ticks and is as large as a random walk of that many ticks
# would be; together they never leave -0.15 .. +0.15.
_SHIFTS = (0, 1, 2, 4, 6, 8, 10, 12)
_OCTAVES = tuple((shift, 2 * shift * 7919 + 1, 0.001 * 2 ** (shift / 2)) for shift in _SHIFTS)
_TABLE_BITS = 14
_TABLE_MASK = (1 << _TABLE_BITS) - 1


class Walk:
    """A random walk that can be looked at anywhere: noise of several octaves, summed.

    Attributes:
        reach: The farthest from zero it ever comes.
    """

    reach = sum(size for _, _, size in _OCTAVES)

    def __init__(self, seed: int) -> None:
        """Fill the noise table, some 10 ms."""
        chance = Chance(seed, 0x77616C6B)
        self._table = [2 * chance.unit() - 1 for _ in range(1 << _TABLE_BITS)]

    def noise(self, salt: int, tick: int) -> float:
        """Return a number in [-1, 1) that has nothing to do with the tick before."""
        return self._table[(salt * 7 + tick * 40_503) & _TABLE_MASK]

    def at(self, salt: int, tick: int) -> float:
        """Return the walk of *salt* at *tick*, which may be negative."""
        table = self._table
        shifted = tick + salt
        total = 0.0
        for shift, stride, size in _OCTAVES:
            total += table[(salt + (shifted >> shift) * stride) & _TABLE_MASK] * size
        return total
