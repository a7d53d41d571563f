"""Whether two engines built the same table."""

from __future__ import annotations

import polars as pl


def unlike(one: pl.DataFrame, other: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The columns that differ: anything but floats exactly, those by more than 1e-9 of the value."""
    found = {}
    for name, kind in one.schema.items():
        a, b = one[name], other[name]
        if kind == pl.Float64:
            most = pl.DataFrame([a.abs(), b.abs().alias("b")]).max_horizontal()
            same = ((a - b).abs() <= 1e-9 * most).fill_null(value=False) | (a.is_null() & b.is_null())
        else:
            same = a.eq_missing(b)
        if not same.all():
            found[name] = pl.DataFrame(
                {"customer": one["customer"], "as_of": one["as_of"], "a": a, "b": b}
            ).filter(~same)
    return found
