from __future__ import annotations

import gzip

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.quality.columns import ColumnsError
from holdfast.scoring import answer_schema, score_file
from holdfast.sources import SourceError


def written(frame, path):
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path


def read(path):
    if path.suffix in {".parquet", ".pq"}:
        return pl.read_parquet(path)
    return pl.read_csv(path, schema_overrides=answer_schema(9))


def bits(frame):
    return frame["churn_probability"].reinterpret(dtype=pl.UInt64).to_list()


def whole(model, frame, reasons=0):
    """What the model says of the whole table at once."""
    return model.answer(model.conform(frame), reasons=reasons)


@pytest.mark.parametrize(
    ("source", "out"),
    [("t.csv", "o.csv"), ("t.csv", "o.parquet"), ("t.parquet", "o.csv"), ("t.parquet", "o.pq")],
)
@pytest.mark.parametrize("batch_rows", [7, 100, 100_000])
def test_every_row_is_scored_in_order_and_to_the_bit(  # noqa: PLR0917 - fixtures
    model, customers, tmp_path, source, out, batch_rows
):
    frame = customers()
    table = written(frame, tmp_path / source)
    done = score_file(model, table, tmp_path / out, batch_rows=batch_rows, reasons=2, workers=3)
    answers = read(tmp_path / out)
    assert answers.schema == answer_schema(2)
    expected = whole(model, frame, reasons=2)
    assert bits(answers) == bits(expected)
    assert answers.drop("churn_probability").equals(expected.drop("churn_probability"))
    assert (done.rows_in, done.scored, done.rejected, done.rejects) == (500, 500, 0, None)
    assert done.will_churn == expected["will_churn"].sum()
    assert done.expected_churners == pytest.approx(expected["churn_probability"].sum())
    assert sum(done.risk_levels.values()) == 500
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source, out])


cells = {
    "id": st.sampled_from(["a", "b", " c ", "7.0", "", 'q"', "x,y"]),
    "age": st.sampled_from(["5", " 17.25 ", "$40", "", "NA", "119.999", "300", "old", "inf", "1e1"]),
    "plan": st.sampled_from(["gold", "TIN", " tin", "wood", ""]),
    "usage": st.one_of(st.just(""), st.floats(-1e6, 1e6).map(repr)),
    "city": st.sampled_from(["Oslo", "", "ÅÄÖ", "two\nlines", "semi;colon"]),
    "more": st.text(alphabet="ab,\"'", max_size=4),
}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_row_is_answered_alike_alone_among_many_typed_as_text_and_shuffled(model, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("rows")
    rows = data.draw(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=25))
    order = data.draw(st.permutations(list(cells)))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(cells, pl.String))
    frame = frame.with_columns(pl.all().replace("", None)).select(order)
    conformed = model.conform(frame)
    expected = (
        dict(zip(conformed.rows, bits(model.answer(conformed)), strict=True)) if len(conformed.rows) else {}
    )
    for name in ("t.csv", "t.parquet"):
        table = written(frame, folder / name)
        for out in (f"{name}.o.csv", f"{name}.o.parquet"):
            done = score_file(model, table, folder / out, batch_rows=data.draw(st.integers(1, 30)))
            answers = read(folder / out)
            assert bits(answers) == list(expected.values())
            assert done.rows_in == len(rows) == done.scored + done.rejected
            assert done.scored == answers.height == len(expected)
            out_rows = read(done.rejects)["row"].unique() if done.rejects else []
            assert sorted([*expected, *out_rows]) == list(range(1, len(rows) + 1))
    for number, row in enumerate(frame.iter_slices(1), start=1):
        alone = model.conform(row)
        assert (bits(model.answer(alone)) if len(alone.rows) else []) == (
            [expected[number]] if number in expected else []
        )


def test_rejects_are_named_with_row_column_value_and_reason_and_broken_lines_too(model, tmp_path):
    table = tmp_path / "t.csv"
    lines = ["id,age,plan,usage,note", "a,30,gold,1,", "b,300,tin,x,", "c,1", 'd,"9,gold,1,', "e,40,wood,2,"]
    table.write_text("\n".join(lines) + "\n")
    done = score_file(model, table, tmp_path / "o.csv")
    assert (done.rows_in, done.scored, done.rejected, done.malformed) == (5, 2, 3, 2)
    assert done.rejects == tmp_path / "o.csv.rejects.csv"
    rejects = pl.read_csv(done.rejects)
    assert rejects.columns == ["row", "column", "value", "reason"]
    assert rejects.select("row", "column").rows() == [(2, "age"), (2, "usage"), (3, None), (4, None)]
    assert rejects["reason"].null_count() == 0
    assert read(tmp_path / "o.csv")["customer_id"].to_list() == ["a", "e"]
    assert done.counts.unseen == {"plan": 1}


def test_lines_in_windows_1252_are_scored_and_counted_though_the_run_is_resumed(model, tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes("id,age,plan,usage,note\né,30,gold,1,\nb,40,gold,1,£\nc,50,gold,1,\n".encode("cp1252"))
    for out in ("first.csv", "again.csv"):
        done = score_file(model, table, tmp_path / out, parts=tmp_path / "parts")
        assert read(tmp_path / out)["customer_id"].to_list() == ["é", "b", "c"]
        assert done.as_dict()["windows_1252"] == 2


def test_missing_extra_and_shuffled_columns_are_handled_and_told(model, customers, tmp_path):
    frame = customers(20)
    table = written(
        frame.select("note", "plan", "age", "id", pl.lit(1).alias("colour")), tmp_path / "t.parquet"
    )
    done = score_file(model, table, tmp_path / "o.parquet")
    told = done.as_dict()
    assert told["absent_columns"] == ["usage", "city"]
    assert told["ignored_columns"] == ["colour"]
    assert told["reordered_columns"] is True
    expected = whole(model, frame.select("id", "age", "plan"))
    assert bits(read(tmp_path / "o.parquet")) == bits(expected)


def test_repeated_ids_are_all_scored_and_counted(model, customers, tmp_path):
    frame = pl.concat([customers(30), customers(10), customers(5)])
    done = score_file(model, written(frame, tmp_path / "t.csv"), tmp_path / "o.csv", batch_rows=4)
    assert (done.scored, done.repeated_ids, done.repeated_ids_exact) == (45, 15, True)
    assert bits(read(tmp_path / "o.csv")) == bits(whole(model, frame))


def test_without_an_id_each_row_is_answered_under_its_number(model_without_id, customers, tmp_path):
    frame = pl.concat([customers(10)] * 3).drop("id")
    done = score_file(model_without_id, written(frame, tmp_path / "t.csv"), tmp_path / "o.csv", batch_rows=4)
    assert done.repeated_ids is None
    assert read(tmp_path / "o.csv")["customer_id"].to_list() == [str(row) for row in range(1, 31)]


def test_when_every_row_is_rejected_the_answers_are_an_empty_table(model, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,age,plan,note\na,old,tin,\nb,older,tin,\n")
    done = score_file(model, table, tmp_path / "o.parquet")
    assert (done.scored, done.rejected) == (0, 2)
    assert pl.read_parquet(tmp_path / "o.parquet").schema == answer_schema(0)


def test_a_stale_file_of_rejects_is_removed(model, customers, tmp_path):
    table = written(customers(5), tmp_path / "t.csv")
    (tmp_path / "o.csv.rejects.csv").write_text("old")
    score_file(model, table, tmp_path / "o.csv")
    assert not (tmp_path / "o.csv.rejects.csv").exists()


def test_gzip_in_and_out(model, customers, tmp_path):
    frame = customers(50)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    score_file(model, tmp_path / "t.csv.gz", tmp_path / "o.csv.gz", batch_rows=9)
    assert bits(pl.read_csv(tmp_path / "o.csv.gz")) == bits(whole(model, frame))
    assert score_file(model, tmp_path / "t.csv.gz").out == tmp_path / "t.scored.csv"


def test_progress_comes_to_the_files_size(model, customers, tmp_path):
    class Watch:
        total, done = 0.0, 0.0

        def start(self, name, total):
            assert name == "Scoring t.csv"
            self.total = total

        def advance(self, amount=1.0, note=None):
            assert note
            self.done += amount

    watch = Watch()
    table = written(customers(100), tmp_path / "t.csv")
    score_file(model, table, tmp_path / "o.csv", batch_rows=10, progress=watch)
    assert watch.done == pytest.approx(watch.total) == table.stat().st_size


class Broken(Exception):  # noqa: N818 - a name for a test
    pass


def test_what_fails_on_the_way_leaves_everything_as_it_was(model, customers, tmp_path):
    class Failing(type(model)):
        def answer(self, conformed, *, reasons=0):
            if "c50" in conformed.ids:
                raise Broken
            return super().answer(conformed, reasons=reasons)

    table = written(customers(100), tmp_path / "t.csv")
    (tmp_path / "o.csv").write_text("before")
    (tmp_path / "o.csv.rejects.csv").write_text("before")
    with pytest.raises(Broken):
        score_file(Failing(model.contract), table, tmp_path / "o.csv", batch_rows=5, overwrite=True)
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if path != table}
    assert left == {"o.csv": "before", "o.csv.rejects.csv": "before"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SourceError),
        ("id,age,plan,note\n", SourceError),
        ("id,age,note\na,1,\n", ColumnsError),
        ("usage\n3\n", ColumnsError),
    ],
    ids=["empty", "header only", "column missing", "other table"],
)
def test_a_table_that_does_not_fit_leaves_nothing(model, tmp_path, text, error):
    table = tmp_path / "t.csv"
    table.write_text(text)
    with pytest.raises(error):
        score_file(model, table, tmp_path / "o.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_truncated_archive_leaves_nothing(model, customers, tmp_path):
    packed = gzip.compress(customers(5_000).write_csv().encode())
    (tmp_path / "t.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError):
        score_file(model, tmp_path / "t.csv.gz", tmp_path / "o.csv", batch_rows=100)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv.gz"]


@pytest.mark.parametrize("reasons", [-1, 21])
def test_the_number_of_reasons_is_bounded(model, customers, tmp_path, reasons):
    with pytest.raises(UsageError):
        score_file(model, written(customers(5), tmp_path / "t.csv"), reasons=reasons)


def test_both_files_are_on_the_disk_before_they_get_their_names(model, tmp_path, monkeypatch):
    table, out = tmp_path / "t.csv", tmp_path / "o.csv"
    table.write_text("id,age,plan\na,30,gold\nb,300,tin\n")
    synced = []
    monkeypatch.setattr(
        "holdfast.scoring.output.sync",
        lambda path: synced.append((path.name, path.stat().st_size, out.exists())),
    )
    done = score_file(model, table, out)
    sizes = [path.stat().st_size for path in (out, done.rejects)]
    assert synced == [("answers", sizes[0], False), ("rejects", sizes[1], False)]
