from __future__ import annotations

import polars as pl

from holdfast.contract.load import load_history
from holdfast.history.build import build
from holdfast.history.prepare import prepare
from holdfast.simulator.telco import write_world


def test_the_histories_labels_are_about_what_the_oracle_is_about(few, tmp_path):
    """Whoever is labelled has a truth as of that moment, and left within the horizon if the label says so."""
    written = write_world(few.world, tmp_path)
    history = load_history(written.contract)
    fewer = {name: table for name, table in history.tables.items() if name in {"customers", "subscriptions"}}
    history = history.model_copy(update={"tables": fewer})
    prepared = prepare(history, tmp_path, tmp_path / "prepared")
    assert not any(counts.rejected for counts in prepared.counts.values())
    built = build(history, prepared, tmp_path / "built.parquet").frame()
    labelled = built.drop_nulls("churned").select(
        pl.col("customer").alias("customer_id"), pl.col("as_of").cast(pl.Date), "churned"
    )
    both = labelled.join(few.outcomes(60), on=["customer_id", "as_of"], how="left")
    assert both["churn_60"].null_count() == 0
    assert (both["left"] == (both["churned"] == 1)).all()
    assert both["left"].sum() > 100
