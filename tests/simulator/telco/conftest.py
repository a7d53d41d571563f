from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from holdfast.simulator.telco import World
from holdfast.simulator.telco.world import TABLES


class Lived:
    """A world in memory: its tables, the oracle's, and when customers really left."""

    def __init__(self, world: World) -> None:
        blocks = list(world.blocks())
        self.world = world
        self.tables = {name: pl.concat([block.tables[name] for block in blocks]) for name in TABLES}
        self.truth = pl.concat([block.oracle["truth"] for block in blocks])
        self.hidden = pl.concat([block.oracle["customers"] for block in blocks])

    @property
    def latest(self) -> pl.DataFrame:
        """The last version of each subscription."""
        return self.tables["subscriptions"].sort("known_at").unique("subscription_id", keep="last")

    def outcomes(self, days: int, *, every: int = 1) -> pl.DataFrame:
        """The truth as of each ``every``-th month whose horizon is over, and who left within it.

        Horizons that do not overlap, of one customer too, differ from their probabilities independently.
        """
        world = self.world
        last = world.calendar.day(world.months) - timedelta(days=days)
        chosen = [world.calendar.day(month) for month in range(0, world.months, every)]
        ends = self.latest.filter(pl.col("end_reason") != "changed").select(
            "customer_id", "end_reason", end=pl.col("ended_at").dt.replace_time_zone(None)
        )
        moments = self.truth.filter(pl.col("as_of").is_in(chosen), pl.col("as_of") <= last)
        left = moments.join(ends, on="customer_id").filter(
            pl.col("end") >= pl.col("as_of"),
            pl.col("end") < pl.col("as_of").cast(pl.Datetime("us")) + pl.duration(days=days),
        )
        first = left.sort("end").unique(["customer_id", "as_of"], keep="first")
        joined = moments.join(
            first.select("customer_id", "as_of", "end_reason"), on=["customer_id", "as_of"], how="left"
        )
        assert joined.height == moments.height
        return joined.with_columns(left=pl.col("end_reason").is_not_null())


@pytest.fixture(scope="session")
def lived() -> Lived:
    return Lived(World(10_000, 12, seed=11))


@pytest.fixture(scope="session")
def few() -> Lived:
    return Lived(World(800, 9, seed=5))
