"""A run that was broken off and resumed gives the same bits, and scores nothing twice."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.scoring import score_file


class Counting:
    """A model that counts the batches that it answers."""

    def __init__(self, model):
        self._model = model
        self.contract, self.version = model.contract, model.version
        self.batches = 0

    def conform(self, frame, **given):
        self.batches += 1
        return self._model.conform(frame, **given)

    def answer(self, conformed, **given):
        return self._model.answer(conformed, **given)


class BrokenOff:
    """Progress that ends the run after some batches."""

    def __init__(self, batches):
        self.left = batches

    def start(self, name, total):
        pass

    def advance(self, *_, **__):
        self.left -= 1
        if self.left <= 0:
            raise KeyboardInterrupt


def scored(model, table, out, **given):
    """The bytes of both files, and the summary but for its time."""
    done = score_file(model, table, out, overwrite=True, batch_rows=40, workers=2, **given)
    rejects = done.rejects.read_bytes() if done.rejects else None
    return out.read_bytes(), rejects, replace(done, seconds=0.0)


@pytest.fixture
def table(customers, tmp_path):
    """500 rows in 13 batches; some are rejected, repaired or of unknown levels, and some have one id."""
    at = pl.int_range(pl.len())
    frame = customers().with_columns(
        id=pl.when(at % 90 == 0).then(pl.lit("c1")).otherwise("id"),
        age=pl.when(at % 70 == 3).then(-1.0).otherwise("age"),
        plan=pl.when(at % 11 == 0)
        .then(pl.lit(" GOLD "))
        .when(at % 13 == 0)
        .then(pl.lit("brass"))
        .otherwise("plan"),
    )
    path = tmp_path / "t.parquet"
    frame.write_parquet(path)
    return path


@pytest.fixture
def folder(tmp_path_factory):
    """Makes folders."""
    return lambda: tmp_path_factory.mktemp("run")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is only read
@given(st.integers(1, 12), st.sampled_from(["o.csv", "o.parquet"]), st.integers(0, 2), st.data())
def test_what_was_broken_off_is_resumed_to_the_bit_and_scores_nothing_twice(  # noqa: PLR0917 - pytest and hypothesis pass them
    model, table, folder, batches, name, reasons, data
):
    work = folder()
    expected = scored(model, table, work / name, reasons=reasons)
    parts = work / "parts"
    with pytest.raises(KeyboardInterrupt):
        scored(model, table, work / name, reasons=reasons, parts=parts, progress=BrokenOff(batches))
    kept = sorted(parts.glob("*.part"))
    assert batches <= len(kept) <= 13
    assert expected[1]
    assert expected[2].counts.repair_examples.keys() == expected[2].counts.unseen_examples.keys() == {"plan"}
    assert expected[2].repeated_ids == 6
    if data.draw(st.booleans()):  # torn, as a power cut may
        torn = data.draw(st.sampled_from(kept))
        whole = torn.read_bytes()
        torn.write_bytes(whole[: data.draw(st.integers(0, len(whole) // 2))])
        kept.remove(torn)
    resumed = Counting(model)
    found = scored(resumed, table, work / name, reasons=reasons, parts=parts)
    assert found == expected
    assert resumed.batches == 13 - len(kept)


def test_parts_of_another_run_are_not_taken(model, table, folder):
    work = folder()
    parts = work / "parts"
    scored(model, table, work / "o.csv", parts=parts)
    again = Counting(model)
    again.version = "v8"
    scored(again, table, work / "o.csv", parts=parts)
    assert again.batches == 13
    same = Counting(model)
    same.version = "v8"
    scored(same, table, work / "o.csv", parts=parts)
    assert same.batches == 0
