"""The same row gets the same bits through `Model.score` and through files, whatever is around it."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.scoring import score_file

LEVELS = st.sampled_from(["Yes", "No", "yes ", "No internet service", "perhaps", "", None])
CELLS = {
    "customerID": st.text(alphabet="abc-019 ", min_size=1, max_size=8).filter(str.strip),
    "tenure": st.integers(0, 72).map(str) | st.sampled_from(["", "900", " 12 ", None]),
    "Contract": st.sampled_from(["Month-to-month", "One year", "Two year", "month-to-month", "Never", ""]),
    "InternetService": st.sampled_from(["DSL", "Fiber optic", "No", "Cable", None]),
    "PaymentMethod": st.sampled_from(["Electronic check", "Mailed check", "Barter", ""]),
    "MonthlyCharges": st.floats(0, 200).map(repr) | st.sampled_from(["$ 70.35", "1e9", "", None]),
    "TotalCharges": st.floats(0, 9_000).map(repr) | st.sampled_from([" ", "", None]),
    "OnlineSecurity": LEVELS,
    "TechSupport": LEVELS,
}


def bits(frame):
    return frame["churn_probability"].reinterpret(dtype=pl.UInt64).to_list()


def read(path):
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path, schema_overrides={"customer_id": pl.String, "churn_probability": pl.Float64})


@pytest.mark.parametrize("which", ["model", "challenger"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_row_one_answer(trained, tmp_path_factory, which, data):
    model = getattr(trained, which)
    folder = tmp_path_factory.mktemp("bits")
    changes = data.draw(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=12))
    like = trained.customers.drop("Churn").head(len(changes)).with_columns(pl.all().cast(pl.String))
    frame = like.with_columns(pl.DataFrame(changes, schema=dict.fromkeys(CELLS, pl.String)))
    frame = frame.select(data.draw(st.permutations(frame.columns)))
    together = model.score(frame)
    expected = together.frame.with_columns(bits=pl.Series(bits(together.frame), dtype=pl.UInt64))
    for name in ("t.csv", "t.parquet"):
        table = folder / name
        frame.write_csv(table) if name == "t.csv" else frame.write_parquet(table)
        for out in (f"{name}.o.csv", f"{name}.o.parquet"):
            done = score_file(model, table, folder / out, batch_rows=data.draw(st.integers(1, 13)), reasons=2)
            assert done.rows_in == done.scored + done.rejected == frame.height
            assert bits(read(folder / out)) == expected["bits"].to_list()
            assert read(folder / out)["customer_id"].to_list() == expected["customer_id"].to_list()
    alone = [model.score(row).frame for row in frame.iter_slices(1)]
    assert bits(pl.concat(alone)) == expected["bits"].to_list()


@pytest.mark.parametrize("which", ["model", "challenger"])
def test_many_rows_typed_and_as_text_in_batches_of_any_size(trained, tmp_path, which):
    model = getattr(trained, which)
    frame = pl.concat([trained.customers] * 4)
    expected = model.score(frame, reasons=3).frame
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv", null_value=" ")
    for table in ("t.csv", "t.parquet"):
        for rows in (100, 3_000):
            score_file(
                model, tmp_path / table, tmp_path / "o.parquet", batch_rows=rows, reasons=3, overwrite=True
            )
            found = read(tmp_path / "o.parquet")
            assert bits(found) == bits(expected)
            assert found.drop("churn_probability").equals(expected.drop("churn_probability"))
