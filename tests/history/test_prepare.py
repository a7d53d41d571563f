from __future__ import annotations

import os
import time
from datetime import datetime

import polars as pl
import pytest
import sqlalchemy as sa
from small_histories import history

from holdfast.history.prepare import AGAIN, prepare
from holdfast.history.prepared import opened
from holdfast.history.problems import HistoryError
from holdfast.settings import Settings

CUSTOMERS = {"kind": "customers", "begin": "joined"}
SALES = {
    "kind": "events",
    "time": "at",
    "known": "known",
    "columns": {
        "amount": {"kind": "number", "max": 1000},
        "sort": {"kind": "category", "levels": ["Sale", "Return"]},
    },
}
PLANS = {"kind": "intervals", "id": "id", "begin": "begin", "end": "end", "known": "known"}
CHURN = {"event": "inactivity", "table": "sales", "horizon_days": 30}
ENDS = {"event": "end", "table": "plans", "horizon_days": 30}


def prepared(folder, tables, files, churn=CHURN, **clock):
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return prepare(history(tables, churn, **clock), folder, folder / "out")


def rows(found, table):
    return pl.read_parquet(found.file(table))


REJECTED = [
    # customer, at, known, reason
    ("", "2024-01-05", "", "no customer id"),
    ("a", "", "", "no time"),
    ("a", "soon", "", "the time cannot be read"),
    ("a", "2024-02-30", "", "the time cannot be read"),
    ("a", "2999-01-01", "", "in the future"),
    ("a", "1812-01-01", "", "before the year 1900"),
    ("a", "2024-01-05T10:00:00", "2024-01-05T09:59:59", "known before it happened"),
    ("a", "2024-01-05", "2999-01-01", "known in the future"),
    ("a", "2024-01-05", "later", "the time cannot be read"),
    ("a", "2023-12-31", "", "before the customer's own begin"),
    ("nobody", "2024-01-05", "", "its customer is not in the table of customers"),
]


def test_each_row_that_cannot_be_used_is_rejected_with_its_reason_and_the_good_ones_are_kept(tmp_path):
    lines = [f"{customer},{at},{known},1,Sale" for customer, at, known, _ in REJECTED]
    good = "a,2024-01-05,2024-01-06,1,Sale\na,2024-01-01,,1,Sale\n"
    files = {
        "customers.csv": "customer,joined\na,2024-01-01T15:00:00\n",
        "sales.csv": "customer,at,known,amount,sort\n" + "\n".join(lines) + f"\ntoo,few\n{good}",
    }
    found = prepared(tmp_path, {"customers": CUSTOMERS, "sales": SALES}, files)
    counts = found.counts["sales"]
    expected: dict[str, int] = {"2 fields instead of 5": 1}
    for *_, reason in REJECTED:
        expected[reason] = expected.get(reason, 0) + 1
    assert counts.rejected == expected
    assert counts.unknown_customers == 1
    assert counts.read == counts.kept + sum(counts.rejected.values()) == len(REJECTED) + 3
    assert rows(found, "sales").height == counts.kept == 2
    listed = pl.read_csv(found.rejects, infer_schema_length=0)
    assert listed.columns == ["table", "file", "row", "column", "value", "reason"]
    told = dict(listed.select(pl.col("row").cast(int), "reason").iter_rows())
    assert [told[n + 1] for n in range(len(REJECTED))] == [reason for *_, reason in REJECTED]
    value = listed.filter(pl.col("value") == "2024-02-30").row(0, named=True)
    assert (value["table"], value["column"], value["file"][-9:]) == ("sales", "at", "sales.csv")


def test_what_is_odd_and_kept_is_noted(tmp_path):
    files = {
        "plans.csv": "id,customer,begin,end,known,fee\n"
        "1,a,2023-01-01,2023-06-01,2023-06-01,10\n"
        "2,a,2023-05-01,,2023-05-01,cheap\n"  # overlaps the first; its fee is no number
        ",a,2023-07-01,,,20000\n"  # no id, no known; out of range
    }
    plans = PLANS | {"columns": {"fee": {"kind": "number", "max": 1000}}}
    found = prepared(tmp_path, {"plans": plans}, files, ENDS)
    assert found.counts["plans"].notes == {
        "begin while another one of the customer's goes on": 2,
        "fee: no number, or out of range, so missing": 2,
        "no id, so a fact of its own": 1,
        "no time at which it became known: taken as when it happened": 1,
    }
    assert rows(found, "plans").select("fee", "_superseded").to_dict(as_series=False) == {
        "fee": [10.0, None, None],
        "_superseded": [None, None, None],
    }


def test_an_end_before_its_begin_is_rejected_and_words_for_no_end_mean_that_it_goes_on(tmp_path):
    files = {
        "plans.csv": "customer,begin,end\n"
        "a,2023-01-02,2023-01-01\nb,2023-01-01,No\nc,2023-01-01,\nd,2023-01-01,9999-12-31\n"
        "e,2023-01-01,still here\nf,2023-01-01,2023-01-01\ng,2023-01-01,gone\n"
    }
    plans = {"kind": "intervals", "begin": "begin", "end": "end", "ongoing": ["Still here"]}
    found = prepared(tmp_path, {"plans": plans}, files, ENDS)
    assert found.counts["plans"].rejected == {"the end is before the begin": 1, "the time cannot be read": 1}
    assert rows(found, "plans").filter(pl.col("_end").is_null())["_customer"].to_list() == [
        "b",
        "c",
        "d",
        "e",
    ]


def test_versions_are_ordered_by_when_they_became_known_whatever_their_order_in_the_file(tmp_path):
    files = {
        "plans.csv": "id,customer,begin,end,known\n"
        "1,a,2023-01-01,2023-05-01,2023-05-02T10:00:00\n"
        "1,a,2023-01-01,,2023-01-01T10:00:00\n"
        "1,a,2023-01-01,2023-04-01,2023-04-02T10:00:00\n"
        "1,a,2023-01-01,2023-05-01,2023-05-02T10:00:00\n"  # once more
        "1,a,2023-01-01,2023-04-15,2023-04-02T10:00:00\n"  # contradicts, and comes last
        "2,a,2023-01-01,,2023-01-01T10:00:00\n"
    }
    found = prepared(tmp_path, {"plans": PLANS}, files, ENDS)
    assert found.counts["plans"].rejected == {
        "another version of its id, known at the same moment; the last one counts": 1,
        "the same version of the same id once more": 1,
    }
    chain = rows(found, "plans").select(
        pl.col("_known").dt.strftime("%m-%d"),
        pl.col("_superseded").dt.strftime("%m-%d"),
        pl.col("_end").dt.strftime("%m-%d"),
    )
    assert sorted(chain.iter_rows(), key=str) == sorted(
        [
            ("01-01", "04-02", None),
            ("04-02", "05-02", "04-15"),
            ("05-02", None, "05-01"),
            ("01-01", None, None),
        ],
        key=str,
    )


def test_of_several_rows_about_one_customer_the_latest_known_counts(tmp_path):
    customers = {"kind": "customers", "known": "known", "columns": {"segment": {"kind": "category"}}}
    files = {
        "customers.csv": "customer,known,segment\na,2024-01-01T10:00:00,old\na,2024-02-01T10:00:00,new\n",
        "sales.csv": "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\n",
    }
    found = prepared(tmp_path, {"customers": customers, "sales": SALES}, files)
    assert rows(found, "customers")["_superseded"].is_null().to_list() == [False, True]


def test_a_known_at_that_is_a_day_alone_is_that_days_end(tmp_path):
    files = {"sales.csv": "customer,at,known,amount,sort\na,2024-03-30 14:00,2024-03-30,1,Sale\n"}
    found = prepared(tmp_path, {"sales": SALES}, files, time_zone="Europe/Berlin")
    assert rows(found, "sales").select(pl.col("_time", "_known").dt.strftime("%d %H")).row(0) == (
        "30 13",
        "30 23",
    )
    assert str(found.until) == "2024-03-30 23:00:00"  # of which midnight of the zone is all known


def test_a_begin_that_is_corrected_later_judges_no_row_anew(tmp_path):
    sales = (
        "customer,at,known,amount,sort\na,2024-02-01,,1,Sale\na,2024-03-10,,1,Sale\nb,2024-03-10,,1,Sale\n"
    )
    told = "customer,joined,seen\na,2024-03-01,2024-03-02\nb,,2024-03-02\n"
    tables = {"sales": SALES, "customers": CUSTOMERS | {"known": "seen"}}
    for corrections in ("", "a,2023-01-01,2024-06-01\nb,2024-04-01,2024-06-01\n"):
        files = {"sales.csv": sales, "customers.csv": told + corrections}
        found = rows(prepared(tmp_path, tables, files), "sales")
        kept = found.select("_customer", pl.col("_time").dt.strftime("%m-%d")).rows()
        assert kept == [("a", "03-10"), ("b", "03-10")]


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2024-03-30 14:00", "2024-03-30 13:00:01"),  # more may have happened on that day
        ("2024-03-30T23:30:00.9Z", "2024-03-30 23:30:01"),
        ("2024-03-31", "2024-03-31 22:00:00"),  # what happens at a midnight belongs to the day that begins
        ("2024-03-30", "2024-03-30 23:00:00"),
    ],
)
def test_all_is_known_until_the_last_event_or_the_end_of_its_day_where_it_is_a_day_alone(tmp_path, at, until):
    files = {"sales.csv": f"customer,at,known,amount,sort\na,{at},,1,Sale\n"}
    assert str(prepared(tmp_path, {"sales": SALES}, files, time_zone="Europe/Berlin").until) == until


def test_what_happens_after_the_contracts_until_is_rejected_but_what_becomes_known_then_is_kept(tmp_path):
    files = {
        "sales.csv": "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\na,2024-02-29,2024-05-01,1,Sale\n"
    }
    found = prepared(tmp_path, {"sales": SALES}, files, until="2024-03-01")
    assert found.counts["sales"].rejected == {"after the day until which the contract takes all": 1}
    assert (found.counts["sales"].kept, str(found.until)) == (1, "2024-03-01 00:00:00")


def test_tables_that_hold_only_who_was_still_there_begin_where_leaving_is_recorded(tmp_path):
    lines = [f"c{n},{2013 + n % 6}-01-01,{'2019-10-01' if n % 3 else 'No'}" for n in range(30)]
    plans = {"kind": "intervals", "begin": "begin", "end": "end"}
    files = {"plans.csv": "customer,begin,end\n" + "\n".join(lines) + "\n"}
    found = prepared(tmp_path, {"plans": plans}, files, ENDS, until="2020-02-01")
    assert str(found.since) == "2019-07-03 00:00:00"  # 90 days before


def test_values_are_typed_and_levels_spelled_as_the_contract_does(tmp_path):
    sales = SALES | {
        "columns": SALES["columns"]
        | {
            "paid": {"kind": "date"},
            "online": {"kind": "boolean"},
            "items": {"kind": "integer", "required": False},
            "note": {"kind": "text", "exclude": "nobody reads it"},
        }
    }
    files = {
        "sales.csv": "customer,at,known,amount,sort,paid,online,note\n"
        "17850.0,2024-03-01,,€ 1.5, SALE ,2024-03-02 10:00,yes,x\n"
    }
    found = prepared(tmp_path, {"sales": sales}, files, time_zone="Europe/Berlin")
    frame = rows(found, "sales")
    assert frame.columns[4:] == ["amount", "sort", "paid", "online", "items"]
    assert frame.row(0)[4:] == (1.5, "Sale", datetime(2024, 3, 2, 9), True, None)  # noqa: DTZ001 - canonical
    assert frame["_customer"].to_list() == ["17850"]


def test_rows_are_sorted_by_customer_and_time(tmp_path):
    files = {
        "sales.csv": "customer,at,known,amount,sort\n"
        "b,2024-03-02,,1,\na,2024-03-09,,2,\nb,2024-03-01,,3,\na,2024-03-01,,4,\n"
    }
    found = prepared(tmp_path, {"sales": SALES}, files)
    assert rows(found, "sales")["amount"].to_list() == [4, 2, 3, 1]


def test_parquet_and_a_folder_of_files_give_the_same_as_one_csv(tmp_path):
    text = ["a,2024-03-01 10:00,2024-03-02 10:00,1.5,Sale", "b,2024-03-02 11:00,2024-03-02 12:00,2,Return"]
    header = "customer,at,known,amount,sort\n"
    (tmp_path / "folder").mkdir()
    for n, line in enumerate(text):
        (tmp_path / "folder" / f"{n}.csv").write_text(header + line + "\n")
    plain = prepared(tmp_path, {"sales": SALES}, {"sales.csv": header + "\n".join(text) + "\n"})
    whole = rows(plain, "sales")
    typed = pl.read_csv(tmp_path / "sales.csv").with_columns(
        pl.col("at", "known").str.to_datetime("%Y-%m-%d %H:%M"), pl.col("sort").cast(pl.Categorical)
    )
    typed.write_parquet(tmp_path / "sales.parquet")
    for source in ("folder", "sales.parquet"):
        found = prepared(tmp_path, {"sales": SALES | {"source": source}}, {})
        assert rows(found, "sales").equals(whole)


def test_rows_that_stand_in_two_files_of_a_folder_are_counted_apart_from_what_one_file_repeats(tmp_path):
    """Two years that both hold December: one row of it is there twice in both, one only in the second."""
    (tmp_path / "bought").mkdir()
    head = "customer,at,what\n"
    december = "a,2023-12-03,pen\na,2023-12-03,pen\nb,2023-12-04,ink\n"
    files = {
        "bought/2023.csv": f"{head}a,2023-01-05,pen\na,2023-01-05,pen\n{december}",
        "bought/2024.csv": f"{head}{december}c,2023-12-04,ink\nb,2024-01-04,ink\n",
    }
    bought = {"kind": "events", "time": "at", "source": "bought", "columns": {"what": {"kind": "category"}}}
    silent = {"event": "inactivity", "table": "bought", "horizon_days": 30}
    found = prepared(tmp_path, {"bought": bought}, files, silent)
    assert found.counts["bought"].kept == 10
    assert found.counts["bought"].notes == {
        "another file has the same row, so what it tells of counts twice": 3,
        AGAIN: 2,
    }


def test_a_row_that_its_file_repeats_is_counted_if_it_is_kept_and_the_same_in_all_that_is_read(tmp_path):
    """Of equal rows others of the same day may lie between; an unknown customer's are rejected."""
    files = {
        "customers.csv": "customer,joined\na,2024-01-01\n",
        "sales.csv": "customer,at,known,amount,sort\n"
        "a,2024-03-01,,1,Sale\na,2024-03-01,,2,Sale\na,2024-03-01,,1,Sale\na,2024-03-01,,2,Return\n"
        "a,2024-03-01,,,Sale\na,2024-03-01,,,Sale\na,2024-03-02,,1,Sale\nz,2024-03-01,,1,Sale\nz,2024-03-01,,1,Sale\n",
    }
    found = prepared(tmp_path, {"customers": CUSTOMERS, "sales": SALES}, files)
    told = {what: rows for what, rows in found.counts["sales"].notes.items() if "same row" in what}
    assert found.counts["sales"].kept == 7
    assert told == {AGAIN: 2}


def test_a_file_that_was_written_twice_is_told_as_such_but_not_what_is_often_the_same(tmp_path):
    rows = [f"c{n % 40},2024-03-{1 + n % 28:02},,{n},Sale\n" for n in range(300)]
    often = [f"c{n % 10},2024-03-01,,1,Sale\n" for n in range(105)]  # ten or eleven times each
    notes = []
    for lines in (rows + rows, often):
        folder = tmp_path / str(len(notes))
        folder.mkdir()
        found = prepared(
            folder, {"sales": SALES}, {"sales.csv": "customer,at,known,amount,sort\n" + "".join(lines)}
        )
        notes.append({w: n for w, n in found.counts["sales"].notes.items() if "same row" in w})
    assert [list(told.values()) for told in notes] == [[300], [95]]
    assert ["as if the file was written twice" in str(told) for told in notes] == [True, False]


def test_what_is_prepared_is_used_again_until_a_source_or_the_tables_description_changes(tmp_path):
    files = {"sales.csv": "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\n"}

    def made(churn=CHURN, tables=SALES, **clock) -> int:
        return prepared(tmp_path, {"sales": tables}, {}, churn, **clock).file("sales").stat().st_mtime_ns

    (tmp_path / "sales.csv").write_text(files["sales.csv"])
    first = made()
    assert made() == first
    assert (
        made(CHURN | {"horizon_days": 90}, first="2024-03-01") == first
    )  # it is the tables that are prepared
    zoned = made(time_zone="Europe/Berlin")
    assert zoned != first
    time.sleep(0.01)
    (tmp_path / "sales.csv").write_text(files["sales.csv"] + "b,2024-03-01,,1,Sale\n")
    again = prepared(tmp_path, {"sales": SALES}, {}, time_zone="Europe/Berlin")
    assert again.counts["sales"].kept == 2


def test_what_was_in_the_future_is_looked_at_again(tmp_path):
    (tmp_path / "sales.csv").write_text(
        "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\na,2999-03-01,,1,Sale\n"
    )
    first = prepared(tmp_path, {"sales": SALES}, {})
    assert first.counts["sales"].rejected == {"in the future": 1}
    made = first.file("sales").stat().st_mtime_ns
    time.sleep(0.01)
    assert prepared(tmp_path, {"sales": SALES}, {}).file("sales").stat().st_mtime_ns > made


ERRORS = [
    ({}, {}, "sales.csv", 'Table "sales" cannot be read. There is no such file'),
    ({"sales.csv": "customer,att,known,amount,sort\n"}, {}, 'Did you mean "att"', 'has no column "at"'),
    (
        {"sales.csv": "customer,at,known,sort\na,2024-01-01,,\n"},
        {},
        "Mend the contract",
        'has no column "amount"',
    ),
    ({"sales.csv": "customer,at,known,amount,sort\n"}, {}, "with its rows", "has no rows"),
    (
        {"sales.csv": "customer,at,known,amount,sort\na,1700000000,,1,\n"},
        {},
        "2024-03-05T14:30:00+01:00",
        'has numbers in column "at", such as 1700000000',
    ),
    (
        {"sales.csv": "customer,at,known,amount,sort\na,25/12/2023,,1,\n"},
        {},
        "day_first = true  under [tables.sales]",
        'writes the day first in column "at", such as "25/12/2023" in row 1 of sales.csv, and',
    ),
    (
        {"sales.csv": "customer,at,known,amount,sort\na,soon,,1,\n"},
        {},
        "[tables.sales]",
        'No row of table "sales" can be used. 1 of 1: the time cannot be read, such as "soon"',
    ),
    (
        {
            "sales.csv": "customer,at,known,amount,sort\n1,2024-01-01,,1,\n",
            "customers.csv": "customer,joined\na,2020-01-01\n",
        },
        {"customers": CUSTOMERS},
        'have nothing in common: "1" here, "a" there',
        '1 of 1: its customer is not in the table of customers, such as "1"',
    ),
]


@pytest.mark.parametrize(("files", "more", "hint", "message"), ERRORS, ids=[line[3][:40] for line in ERRORS])
def test_what_cannot_be_used_at_all_is_one_error_that_says_what_to_do(tmp_path, files, more, hint, message):
    with pytest.raises(HistoryError) as caught:
        prepared(tmp_path, {"sales": SALES, **more}, files)
    assert message in caught.value.message
    assert hint in f"{caught.value.where} {caught.value.hint}"
    assert not list((tmp_path / "out").glob("*.parquet"))  # nothing half-written


def test_day_first_is_read_where_the_contract_says_so(tmp_path):
    files = {"sales.csv": "customer,at,known,amount,sort\na,1/12/2010 8:26,,1,\nb,25/12/2010 8:26,,1,\n"}
    found = prepared(tmp_path, {"sales": SALES | {"day_first": True}}, files)
    assert rows(found, "sales")["_time"].dt.strftime("%Y-%m-%d %H:%M").to_list() == [
        "2010-12-01 08:26",
        "2010-12-25 08:26",
    ]


UNSAID = "the day or the month could come first: say day_first in the contract"
ISO = "".join(f"c{day},2024-01-{day:02d},,{day},Sale\n" for day in range(1, 31))
SLIPS = "a,03/04/2023,,1,Sale\nb,05/05/2023,,2,Sale\nc,04/13/2023,,3,Sale\n"


def slips(folder, *, first, **more):
    """Three dates in another spelling, in a file, and so a batch, of their own before or after the others."""
    (folder / "sales").mkdir()
    for name, lines in zip(("1.csv", "2.csv"), (SLIPS, ISO) if first else (ISO, SLIPS), strict=True):
        (folder / "sales" / name).write_text(f"customer,at,known,amount,sort\n{lines}", encoding="utf-8")
    return prepared(folder, {"sales": SALES | {"source": "sales"} | more}, {})


@pytest.mark.parametrize("first", [True, False])
def test_a_few_dates_that_leave_open_what_they_mean_are_rejected_wherever_batches_end(tmp_path, first):
    found = slips(tmp_path, first=first)
    assert found.counts["sales"].rejected == {UNSAID: 1}
    assert found.counts["sales"].read == 33
    listed = pl.read_csv(found.rejects, infer_schema_length=0)
    assert listed.select("row", "column", "value").rows() == [("1", "at", "03/04/2023")]
    assert listed["file"][0].endswith("1.csv" if first else "2.csv")
    kept = rows(found, "sales")["_time"].dt.strftime("%Y-%m-%d").to_list()
    assert {"2023-05-05", "2023-04-13"} <= set(kept)


@pytest.mark.parametrize(("day_first", "read"), [(True, "2023-04-03"), (False, "2023-03-04")])
def test_a_few_dates_are_read_by_the_contract_where_it_says_how(tmp_path, day_first, read):
    found = slips(tmp_path, first=False, day_first=day_first)
    assert UNSAID not in found.counts["sales"].rejected
    assert read in rows(found, "sales")["_time"].dt.strftime("%Y-%m-%d").to_list()


def test_a_few_dates_of_other_columns_that_leave_open_what_they_mean_are_missing(tmp_path):
    lines = "".join(f"c{day},2024-01-{day:02d},2024-01-{day:02d}\n" for day in range(1, 31))
    files = {"sales.csv": f"customer,at,due\n{lines}a,2024-01-05,03/04/2024\n"}
    sales = {"kind": "events", "time": "at", "columns": {"due": {"kind": "date"}}}
    found = prepared(tmp_path, {"sales": sales}, files)
    assert rows(found, "sales").filter(_customer="a")["due"].to_list() == [None]
    assert found.counts["sales"].notes == {"due: no date, or out of range, so missing": 1}
    told = sales | {"columns": {"due": {"kind": "date", "day_first": True}}}
    due = rows(prepared(tmp_path, {"sales": told}, {}), "sales").filter(_customer="a")["due"]
    assert due.dt.strftime("%Y-%m-%d").to_list() == ["2024-04-03"]


def test_dates_whose_usual_spelling_has_slashes_are_read_month_first(tmp_path):
    lines = "a,03/04/2024,,1,Sale\nb,12/25/2023,,1,Sale\nc,2024-01-05,,1,Sale\n"
    found = prepared(tmp_path, {"sales": SALES}, {"sales.csv": f"customer,at,known,amount,sort\n{lines}"})
    read = rows(found, "sales")["_time"].dt.strftime("%Y-%m-%d").to_list()
    assert sorted(read) == ["2023-12-25", "2024-01-05", "2024-03-04"]


def test_a_later_file_that_writes_the_day_first_is_an_error(tmp_path):
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "1.csv").write_text(f"customer,at,known,amount,sort\n{ISO}", encoding="utf-8")
    later = "".join(f"c{day},{day:02d}/02/2024,,1,Sale\n" for day in range(1, 29))
    (tmp_path / "sales" / "2.csv").write_text(f"customer,at,known,amount,sort\n{later}", encoding="utf-8")
    with pytest.raises(HistoryError, match='writes the day first in column "at", and the contract') as caught:
        prepared(tmp_path, {"sales": SALES | {"source": "sales"}}, {})
    assert "day_first = true  under [tables.sales]" in caught.value.hint


def test_a_column_of_another_type_is_no_time(tmp_path):
    pl.DataFrame(
        {"customer": ["a"], "at": [True], "known": [None], "amount": [1.0], "sort": ["x"]}
    ).write_parquet(tmp_path / "sales.parquet")
    with pytest.raises(HistoryError, match='has no times in column "at", but Boolean'):
        prepared(tmp_path, {"sales": SALES | {"source": "sales.parquet"}}, {})


def test_lines_in_windows_1252_are_read_and_noted(tmp_path):
    (tmp_path / "sales.csv").write_bytes(
        b"customer,at,known,amount,sort\na,2024-03-01,,1,Sale\nb\xe9,2024-03-02,,2,Sale\n"
    )
    found = prepared(tmp_path, {"sales": SALES}, {})
    assert rows(found, "sales")["_customer"].to_list() == ["a", "bé"]
    assert found.counts["sales"].notes["its line is not UTF-8 and was read as Windows-1252"] == 1


def test_a_source_that_breaks_off_leaves_what_was_prepared_before(tmp_path):
    good = "customer,at,known,amount,sort\n" + "a,2024-03-01,,1,Sale\n" * 1000
    before = prepared(tmp_path, {"sales": SALES}, {"sales.csv": good})
    stat = (tmp_path / "sales.csv").stat()
    (tmp_path / "sales.csv").write_bytes(good.encode() + b"a,2024-03-01,,1,S\x81le\n")
    with pytest.raises(
        HistoryError, match=r'Table "sales" cannot be read\. The file is neither UTF-8 nor .*: data row 1,001'
    ):
        prepared(tmp_path, {"sales": SALES}, {})
    (tmp_path / "sales.csv").write_text(good)
    os.utime(tmp_path / "sales.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert prepared(tmp_path, {"sales": SALES}, {}) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "prepared.json",
        "rejects.csv",
        "sales.parquet",
    ]


def test_what_is_being_read_stays_as_it_was_though_another_run_prepares_it_anew(tmp_path):
    line = "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\n"
    before = prepared(tmp_path, {"sales": SALES}, {"sales.csv": line})
    total = "SELECT sum(amount) AS amount FROM sales"
    with opened(before) as engine:
        assert engine.query(total)["amount"].item() == 1
        after = prepared(tmp_path, {"sales": SALES}, {"sales.csv": line + "a,2024-03-02,,2,Sale\n"})
        engine.narrow(None, None)
        assert engine.query(total)["amount"].item() == 1
    with pytest.raises(HistoryError, match="Another run has prepared the tables anew"), opened(before):
        pass
    with opened(after) as engine:
        assert engine.query(total)["amount"].item() == 3


def test_tables_cannot_be_complete_up_to_a_day_that_is_still_to_come(tmp_path):
    files = {"sales.csv": "customer,at,known,amount,sort\na,2024-03-01,,1,Sale\n"}
    with pytest.raises(HistoryError, match="cannot be complete until 2999-01-01"):
        prepared(tmp_path, {"sales": SALES}, files, until="2999-01-01")


@pytest.mark.parametrize(
    ("columns", "message"), [(("fee", "Fee"), 'columns "fee" and "Fee"'), (("_id",), '"_id"')]
)
def test_names_that_sql_cannot_tell_apart_are_refused(tmp_path, columns, message):
    sales = {"kind": "events", "time": "at", "columns": {name: {"kind": "number"} for name in columns}}
    files = {"sales.csv": f"customer,at,{','.join(columns)}\na,2024-03-01{',1' * len(columns)}\n"}
    with pytest.raises(HistoryError, match=message):
        prepared(tmp_path, {"sales": sales}, files)


def test_a_table_of_a_database_gives_the_same_as_a_file(tmp_path, postgres):
    url = postgres.url()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE sold (customer integer, at timestamptz, known date, "
                "amount numeric(9, 2), sort text)"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO sold VALUES (7, '2024-03-01 10:00+01', '2024-03-02', 1.5, 'sale'), "
                "(8, '2024-03-02 11:00+00', NULL, NULL, NULL), (NULL, '2024-03-02 11:00+00', NULL, 1, 'x')"
            )
        )
    engine.dispose()
    text = (
        "customer,at,known,amount,sort\n7,2024-03-01T10:00+01:00,2024-03-02,1.50,sale\n"
        "8,2024-03-02T11:00Z,,,\n,2024-03-02T11:00Z,,1,x\n"
    )
    plain = prepared(tmp_path, {"sales": SALES}, {"sales.csv": text})
    whole, counts = rows(plain, "sales"), plain.counts
    contract = history({"sales": SALES | {"source": "table:sold"}}, CHURN)
    found = prepare(contract, tmp_path, tmp_path / "out", settings=Settings(source_url=url))
    assert rows(found, "sales").equals(whole)
    assert found.counts == counts
