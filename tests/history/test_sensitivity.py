from __future__ import annotations

import pytest
from small_histories import history

from holdfast.history import sensitivity as room
from holdfast.history.prepare import prepare
from holdfast.history.problems import HistoryError
from holdfast.history.sensitivity import sensitivity

PLANS = {"kind": "intervals", "begin": "begin", "end": "end"}
BILLS = {"kind": "events", "time": "at"}
END = {"event": "end", "table": "plans", "horizon_days": 60, "lead_days": 7, "grace_days": 7}


def counted(folder, churn, *, tables=None, monthly_bills=False, **clock):
    """200 customers; every tenth leaves in May 2024, every twentieth of the others in June."""
    plans, bills = ["customer,begin,end"], ["customer,at"]
    for n in range(200):
        end = "2024-05-10" if n % 10 == 0 else "2024-06-10" if n % 20 == 1 else ""
        plans.append(f"c{n},2023-01-01,{end}")
        bills += (
            [f"c{n},2024-{month:02}-05" for month in range(1, 9)] if monthly_bills else [f"c{n},2023-02-01"]
        )
    (folder / "plans.csv").write_text("\n".join(plans) + "\n")
    (folder / "bills.csv").write_text("\n".join(bills) + "\n")
    contract = history(tables or {"plans": PLANS, "bills": BILLS}, churn, **clock)
    return sensitivity(contract, prepare(contract, folder, folder / "out"))


def test_neighbouring_definitions_are_counted_over_matured_snapshots(tmp_path):
    found = counted(tmp_path, END, snapshots=["2024-05-01", "2024-08-20"], until="2024-09-01")
    table = {
        (v.changed, v.horizon_days, v.lead_days, v.grace_days): (
            v.snapshots,
            v.eligible,
            v.churned,
            v.too_late,
        )
        for v in found.variants
    }
    assert table == {
        (None, 60, 7, 7): (1, 200, 30, 0),  # by 7 July both groups have left
        ("horizon_days", 30, 7, 7): (1, 200, 20, 0),
        ("horizon_days", 90, 7, 7): (1, 200, 30, 0),
        ("lead_days", 60, 3, 7): (1, 200, 30, 0),
        ("lead_days", 60, 14, 7): (1, 200, 10, 20),  # those of 10 May leave within the lead
        ("grace_days", 60, 7, 0): (1, 200, 30, 0),
        ("grace_days", 60, 7, 14): (1, 200, 30, 0),
    }
    assert found.variants[0].rate == 0.15
    assert [(s.mature, s.eligible) for s in found.snapshots] == [(True, 200), (False, 170)]
    assert found.share == 1.0


def warned(found) -> str:
    return "\n".join(found.warnings)


def test_a_lead_of_no_days_leaves_nobody_time_to_act(tmp_path):
    assert "lead_days is 0" in warned(counted(tmp_path, END | {"lead_days": 0}, until="2024-09-01"))
    assert "lead_days" not in warned(counted(tmp_path, END, until="2024-09-01"))


def test_ends_on_the_days_of_the_snapshots_are_told(tmp_path):
    same_day = {"snapshots": ["2024-05-10", "2024-06-10"], "until": "2024-09-01"}
    found = counted(tmp_path, END | {"lead_days": 0}, **same_day)
    assert "30 of the 40 who churn leave on the first day that counts" in warned(found)
    assert "first day" not in warned(counted(tmp_path, END | {"lead_days": 1}, **same_day))


def test_a_horizon_shorter_than_the_cycle_of_bills_is_told(tmp_path):
    short = counted(tmp_path, END | {"horizon_days": 14}, monthly_bills=True, until="2024-09-01")
    assert "The horizon of 14 days is shorter than the cycle of bills, 31 days" in warned(short)
    assert "cycle" not in warned(counted(tmp_path, END, monthly_bills=True, until="2024-09-01"))


def test_labels_that_have_not_matured_are_told(tmp_path):
    found = counted(tmp_path, END, snapshots=["2024-04-01", "2024-05-01", "2024-08-20"], until="2024-09-01")
    assert "The labels of 1 of 3 snapshots have not matured" in warned(found)
    assert "No month can be judged by what was known before it began" in warned(found)


@pytest.mark.parametrize(
    ("churn", "words"),
    [
        (END | {"horizon_days": 1}, "Hardly anybody churns (0.00%)"),
        (
            {"event": "inactivity", "table": "bills", "horizon_days": 30, "lead_days": 1},
            "Almost everybody churns",
        ),
    ],
)
def test_a_rate_near_nothing_or_all_is_told(tmp_path, churn, words):
    assert words in warned(counted(tmp_path, churn, snapshots=["2024-04-01"], until="2024-09-01"))


def test_customers_who_come_back_after_longer_than_the_horizon_are_told_of(tmp_path):
    churn = {"event": "inactivity", "table": "bills", "horizon_days": 14, "lead_days": 1}
    found = counted(tmp_path, churn, monthly_bills=True, until="2024-09-01")
    assert "100% of the gaps between a customer's bills are longer than 14 days" in warned(found)


def test_a_lead_that_misses_most_leavers_is_told(tmp_path):
    found = counted(tmp_path, END | {"lead_days": 21}, snapshots=["2024-05-01"], until="2024-09-01")
    assert "More leave within the lead (20) than in the horizon after it (10)" in warned(found)


def test_tables_of_which_much_is_rejected_are_told_of(tmp_path):
    tables = {"plans": PLANS, "bills": BILLS, "customers": {"kind": "customers", "source": "some.csv"}}
    lines = [f"c{n}" for n in range(150)]
    (tmp_path / "some.csv").write_text("\n".join(["customer", *lines]) + "\n")
    found = counted(tmp_path, END, tables=tables, until="2024-09-01")
    assert "25% of the rows of plans are rejected" in warned(found)


def test_a_table_without_rows_is_told_of(tmp_path):
    (tmp_path / "calls.csv").write_text("customer,at\n")
    tables = {"plans": PLANS, "bills": BILLS, "calls": BILLS}
    assert "calls has no rows" in warned(counted(tmp_path, END, tables=tables, until="2024-09-01"))


def test_events_that_are_told_of_again_later_without_versions_are_told_of(tmp_path):
    tickets = {
        "kind": "events",
        "time": "opened",
        "columns": {"closed": {"kind": "date"}, "satisfied": {"kind": "boolean"}},
    }
    lines = [f"{n},c{n},2023-0{1 + n % 9}-01,2023-0{1 + n % 9}-0{1 + n % 7},yes" for n in range(90)]
    (tmp_path / "tickets.csv").write_text("\n".join(["no,customer,opened,closed,satisfied", *lines]) + "\n")
    tables = {"plans": PLANS, "tickets": tickets}
    told = warned(counted(tmp_path, END, tables=tables, until="2024-09-01"))
    assert "closed of tickets is later than opened in" not in told  # in some rows alone
    late = (tmp_path / "tickets.csv").read_text().replace("-01,yes", "-02,yes")
    (tmp_path / "tickets.csv").write_text(late)
    told = warned(counted(tmp_path, END, tables=tables, until="2024-09-01"))
    assert "closed of tickets is later than opened in 100% of the rows that have one" in told
    assert "(satisfied?)" in told
    kept = tables | {"tickets": tickets | {"id": "no"}}
    assert "closed" not in warned(counted(tmp_path, END, tables=kept, until="2024-09-01"))


def test_what_nothing_can_be_learned_from_is_refused(tmp_path):
    young = counted(tmp_path, END, snapshots=["2024-08-20"], until="2024-09-01")
    with pytest.raises(HistoryError, match=r"No label has matured: 74 days"):
        young.insist_on_examples()
    rare = counted(tmp_path, END | {"horizon_days": 1}, snapshots=["2024-04-01"], until="2024-09-01")
    with pytest.raises(HistoryError, match="Of 200 examples 0 churned and 200 stayed"):
        rare.insist_on_examples()


def test_large_histories_are_counted_on_the_same_sample_of_customers_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SAMPLE_ROWS", 100)
    clock = {"snapshots": ["2024-05-01"], "until": "2024-09-01"}
    found = counted(tmp_path, END, **clock)
    assert found.share == 0.25
    assert 20 < found.variants[0].eligible < 80
    assert counted(tmp_path, END, **clock) == found
