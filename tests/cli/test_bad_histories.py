"""What a user meets whose tables, contract or queries are wrong: one clear error, or a counted reject."""

from __future__ import annotations

from datetime import datetime

import pytest

CONTRACT = """
version = 1
name = "shop"
[clock]
snapshots = "monthly"
[churn]
event = "end"
table = "subscriptions"
horizon_days = 60
lead_days = 7
[economics]
customer_value = 100
contact_cost = 1
offer_cost = 5
success_rate = 0.3
[tables.customers]
kind = "customers"
source = "customers.csv"
customer = "customer_id"
begin = "signup"
[tables.subscriptions]
kind = "intervals"
source = "subscriptions.csv"
customer = "customer_id"
begin = "started"
end = "ended"
[tables.tickets]
kind = "events"
source = "tickets.csv"
customer = "customer_id"
time = "opened_at"
known = "recorded_at"
[tables.tickets.columns]
category = { kind = "category" }
[features]
"""


@pytest.fixture
def shop(tmp_path):
    """200 customers, every second of whom leaves in the course of 2024, with six tickets each."""
    customers, plans = ["customer_id,signup"], ["customer_id,started,ended"]
    tickets = ["customer_id,opened_at,recorded_at,category"]
    for n in range(200):
        begin = f"2022-{1 + n % 12:02}-05"
        customers.append(f"K{n},{begin}")
        plans.append(f"K{n},{begin},{f'2024-{1 + n // 2 % 10:02}-{1 + n % 27:02}' if n % 2 else ''}")
        for j in range(6):
            day = f"{2023 + j // 4}-{1 + (n + j * 5) % 10:02}-{1 + n * j % 28:02}"
            tickets.append(f"K{n},{day} 10:00,{day} 12:00,{'tech' if (n + j) % 3 else 'bill'}")
    for name, lines in {"customers": customers, "subscriptions": plans, "tickets": tickets}.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "churn.toml").write_text(CONTRACT)
    return tmp_path


def edited(file, column, change, *, every=1):
    """Change one column of every so many-th row."""
    header, *rows = file.read_text().splitlines()
    place = header.split(",").index(column)
    lines = []
    for n, row in enumerate(rows):
        cells = row.split(",")
        if n % every == 0:
            cells[place] = change(n, cells[place])
        lines.append(",".join(cells))
    file.write_text("\n".join([header, *lines]) + "\n")


REJECTS = [
    ("tickets", "customer_id", "stranger", 100, "its customer is not in the table of customers"),
    ("tickets", "opened_at", "2999-01-01 10:00", 100, "in the future"),
    ("tickets", "opened_at", "2019-01-01 10:00", 100, "before the customer's own begin"),
    ("tickets", "recorded_at", "2021-01-01 10:00", 100, "known before it happened"),
    ("tickets", "opened_at", "one of these days", 100, "the time cannot be read"),
    ("subscriptions", "ended", "2021-12-31", 20, "the end is before the begin"),
]


@pytest.mark.parametrize("case", REJECTS, ids=lambda case: case[-1])
def test_a_row_that_cannot_be_used_is_counted_with_its_reason(holdfast, shop, case):
    table, column, value, every, reason = case
    edited(shop / f"{table}.csv", column, lambda *_: value, every=every)
    done = holdfast("check", "--json")
    counts = done.json()["tables"][table]
    assert done.code == 0
    assert list(counts["rejected"]) == [reason]
    assert counts["rejected"][reason] == -(-counts["read"] // every)


def test_times_in_three_formats_are_read_and_swapped_days_are_refused(holdfast, shop):
    def written(n, old):
        forms = ("%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M", "%d %b %Y %I:%M %p")
        return datetime.strptime(old, "%Y-%m-%d %H:%M").strftime(forms[n % 3])  # noqa: DTZ007 - as people write

    before = holdfast("check", "--json").json()["definitions"]
    edited(shop / "tickets.csv", "opened_at", written)
    done = holdfast("check")
    assert done.code == 3
    assert 'writes the day first in column "opened_at"' in done.err
    contract = shop / "churn.toml"
    contract.write_text(CONTRACT.replace('time = "opened_at"', 'time = "opened_at"\nday_first = true'))
    after = holdfast("check", "--json").json()
    assert after["tables"]["tickets"]["rejected"] == {}
    assert after["definitions"] == before


def test_overlapping_subscriptions_are_kept_and_noted(holdfast, shop):
    with (shop / "subscriptions.csv").open("a") as file:
        file.writelines(f"K{n},2023-06-01,2023-09-01\n" for n in range(0, 60, 2))
    counts = holdfast("check", "--json").json()["tables"]["subscriptions"]
    assert (counts["kept"], counts["rejected"]) == (230, {})
    assert counts["notes"] == {"begin while another one of the customer's goes on": 30}


ERRORS = [
    (lambda shop: (shop / "tickets.csv").unlink(), 'Table "tickets" cannot be read. There is no such file'),
    (
        lambda shop: edit(shop / "tickets.csv", "customer_id", "client"),
        'Table "tickets" has no column "customer_id"',
    ),
    (
        lambda shop: edit(shop / "churn.toml", "tables.tickets", "tables.moments"),
        '"moments" is the name of a',
    ),
]


def edit(file, old, new):
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize(("harm", "message"), ERRORS, ids=["no table", "no key", "a name of ours"])
def test_a_table_that_is_not_as_the_contract_says_is_one_error(holdfast, shop, harm, message, command):
    harm(shop)
    done = holdfast(command)
    assert done.code == 3
    assert message in done.err
    assert done.err.count("Error:") == 1
    assert "Traceback" not in done.err
    assert not list(shop.glob(".holdfast/histories/*/*.parquet"))


QUERIES = {
    "SELECT customer_id AS customer, COUNT(*) AS value FROM tickets WHERE opened_at > :as_of": "future",
    "SELECT customer_id AS customer, COUNT(*) AS value FROM salaries GROUP BY 1": "no table of the contract",
    "SELECT customer_id AS customer, COUNT(*) AS value FROM '/etc/passwd'": "no table of the contract",
    "DROP TABLE tickets": "no SELECT but DROP",
    "COPY tickets TO 'out.csv'": "no SELECT but COPY",
    "SELECT customer_id AS customer, 1 AS value FROM tickets; DROP TABLE tickets": "2 statements",
}


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize(("query", "message"), QUERIES.items(), ids=[*QUERIES.values()])
def test_a_query_that_may_not_run_is_refused_before_a_table_is_read(holdfast, shop, query, message, command):
    (shop / "mine.sql").write_text(query)
    edit(shop / "churn.toml", "[features]", '[features]\nmine = "mine.sql"')
    done = holdfast(command)
    assert done.code == 3
    assert message in done.err
    assert "at: mine.sql" in done.err
    assert not list(shop.glob(".holdfast/histories/*/*.parquet"))


def test_a_query_that_fails_on_the_tables_is_named_and_nothing_is_written(holdfast, shop):
    (shop / "mine.sql").write_text(
        "SELECT customer_id AS customer, MAX(CAST(category AS INTEGER)) AS value FROM tickets GROUP BY 1"
    )
    edit(shop / "churn.toml", "[features]", '[features]\nmine = "mine.sql"')
    done = holdfast("features", "build", "--out", "built.parquet")
    assert done.code != 0
    assert "Could not convert string" in done.err
    assert "at: mine.sql" in done.err
    assert "TRY_CAST" in done.err
    assert not (shop / "built.parquet").exists()


def test_prepared_tables_that_were_cut_off_are_made_again(holdfast, shop):
    before = holdfast("check", "--json").json()["definitions"]
    prepared = shop / ".holdfast" / "histories" / "shop" / "tickets.parquet"
    prepared.write_bytes(prepared.read_bytes()[:1000])
    assert holdfast("check", "--json").json()["definitions"] == before


def test_a_few_ends_before_their_begins_do_not_hide_that_customers_leave(holdfast, shop):
    edited(shop / "subscriptions.csv", "ended", lambda _, old: old and "2021-12-31", every=21)
    assert holdfast("init", "--tables", ".", "--force").code == 0
    contract = (shop / "churn.toml").read_text()
    assert 'event = "end"' in contract
    assert 'end = "ended"' in contract


def test_a_table_whose_name_is_one_of_ours_is_called_otherwise(holdfast, shop):
    (shop / "tickets.csv").rename(shop / "labels.csv")
    assert holdfast("init", "--tables", ".", "--force").code == 0
    assert "[tables.table_labels]" in (shop / "churn.toml").read_text()
    assert holdfast("check").code == 0
