"""Canadian provinces and territories, and postal codes that belong to them.

Canada Post: the first letter says where; D, F, I, O, Q and U appear nowhere, W and Z not first. X is shared:
X0A to X0C is Nunavut, X0E, X0G and X1A the Northwest Territories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTERS = "ABCEGHJKLMNPRSTVWXYZ"
"""What a postal code may have after its first letter."""


@dataclass(frozen=True)
class Province:
    """One province: two-letter code, share of the people (2021 census), how its postal codes begin."""

    code: str
    share: float
    beginnings: tuple[str, ...]


PROVINCES = (
    Province("ON", 0.3845, ("K", "L", "M", "N", "P")),
    Province("QC", 0.2298, ("G", "H", "J")),
    Province("BC", 0.1352, ("V",)),
    Province("AB", 0.1152, ("T",)),
    Province("MB", 0.0363, ("R",)),
    Province("SK", 0.0306, ("S",)),
    Province("NS", 0.0262, ("B",)),
    Province("NB", 0.0210, ("E",)),
    Province("NL", 0.0138, ("A",)),
    Province("PE", 0.0042, ("C",)),
    Province("NT", 0.0011, ("X0E", "X0G", "X1A")),
    Province("YT", 0.0011, ("Y",)),
    Province("NU", 0.0010, ("X0A", "X0B", "X0C")),
)


def draw_provinces(size: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """One province a customer, as its place in `PROVINCES`."""
    shares = np.array([province.share for province in PROVINCES])
    return rng.choice(len(PROVINCES), size, p=shares / shares.sum()).astype(np.int8)


def postal_codes(provinces: NDArray[np.int8], rng: np.random.Generator) -> pl.Series:
    """One postal code a customer, such as ``K1A 0B1``, that begins as the province's do."""
    size = provinces.size
    letters = np.array(list(LETTERS))
    digits = np.array(list("0123456789"))
    longest = max(len(province.beginnings) for province in PROVINCES)
    table = np.array(
        [[one.beginnings[place % len(one.beginnings)] for place in range(longest)] for one in PROVINCES]
    )
    counts = np.array([len(province.beginnings) for province in PROVINCES])
    begins = table[provinces, (rng.random(size) * counts[provinces]).astype(np.int64)]
    middle = np.char.add(rng.choice(digits, size), rng.choice(letters, size))
    front = np.where(np.char.str_len(begins) == 1, np.char.add(begins, middle), begins)
    back = [rng.choice(kind, size) for kind in (digits, letters, digits)]
    code = np.char.add(np.char.add(front, " "), np.char.add(np.char.add(back[0], back[1]), back[2]))
    return pl.Series(code.tolist())
