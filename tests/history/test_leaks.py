from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import planted_leaks
import polars as pl
import pytest
from planted_leaks import PLANTED, changed, copied, current, read, rewritten
from small_histories import history

from holdfast.contract.load import load_history
from holdfast.history.leaks import find_leaks
from holdfast.history.prepare import prepare
from holdfast.simulator.telco import World, write_world

PURCHASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cdnow_transactions.csv"
SEEDS = (3, 8, 21)
INTERVALS = {"kind": "intervals", "begin": "begin", "end": "end"}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Small worlds by seed, each made when it is first asked for."""
    made = {}

    def world(seed):
        if seed not in made:
            made[seed] = tmp_path_factory.mktemp(f"world{seed}")
            write_world(World(1_500, 18, seed=seed), made[seed], overwrite=True)
        return made[seed]

    return world


def found(folder):
    contract = load_history(folder / "churn.toml")
    prepared = prepare(contract, folder, folder / "prepared")
    return find_leaks(contract, prepared, folder)


def places(folder):
    return [leak.place for leak in found(folder) if not leak.harmless]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_world_has_no_leaks_and_its_calls_at_leaving_are_told_as_harmless(worlds, tmp_path, seed):
    leaks = found(copied(worlds(seed), tmp_path))
    assert [leak.place for leak in leaks] == ['support_tickets.category = "cancellation"']
    assert leaks[0].harmless


PLANTS = [(plant, seed) for n, plant in enumerate(PLANTED) for seed in (SEEDS[0], SEEDS[1 + n % 2])]


@pytest.mark.parametrize(("plant", "seed"), PLANTS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_planted_leak_is_named_and_nothing_else(worlds, tmp_path, plant, seed):
    folder = copied(worlds(seed), tmp_path)
    plant(folder)
    assert places(folder) == [PLANTED[plant]]


def test_strong_attributes_that_were_true_from_the_first_are_no_leaks(worlds, tmp_path):
    folder = copied(worlds(SEEDS[0]), tmp_path)
    hidden = pl.read_parquet(worlds(SEEDS[0]) / "oracle" / "customers.parquet")
    first = current(folder, "subscriptions", "subscription_id").sort("customer_id", "started_at")
    first = first.group_by("customer_id", maintain_order=True).first()
    first = first.select("customer_id", first_plan="plan", first_charge="monthly_charge")
    more = read(folder, "customers").join(hidden.select("customer_id", "taste", "premium"), on="customer_id")
    rewritten(folder, "customers", more.join(first, on="customer_id", how="left"))
    kinds = {"taste": "number", "premium": "number", "first_charge": "number", "first_plan": "category"}
    lines = "".join(f'\n{name} = {{ kind = "{kind}" }}' for name, kind in kinds.items())
    changed(folder, 'birth_date = { kind = "date" }', f'birth_date = {{ kind = "date" }}{lines}')
    assert places(folder) == []


def test_an_excluded_column_is_not_told_of_again(worlds, tmp_path):
    folder = copied(worlds(SEEDS[0]), tmp_path)
    planted_leaks.lifetime_value(folder)
    advice = next(leak.advice for leak in found(folder) if not leak.harmless)
    assert 'exclude = "leak: the state of today"' in advice
    column = 'lifetime_value = { kind = "number"'
    changed(folder, column, f'{column}, exclude = "leak: the state of today"')
    assert places(folder) == []


def test_the_time_at_which_rows_were_written_is_silent_once_declared_or_excluded(worlds, tmp_path):
    folder = copied(worlds(SEEDS[0]), tmp_path)
    planted_leaks.known_undeclared(folder)
    excluded = 'known_at = { kind = "date", exclude = "not ours" }\n'
    changed(folder, "satisfaction = {", f"{excluded}satisfaction = {{")
    assert places(folder) == []
    changed(folder, excluded, "")
    changed(folder, 'time = "opened_at"\n', 'time = "opened_at"\nknown = "known_at"\n')
    assert places(folder) == []


def test_a_table_without_levels_whose_rows_are_of_leavers_alone_is_named_as_a_whole(tmp_path):
    members, calls = ["customer,begin,end"], ["customer,at"]
    for n in range(300):
        left = n % 3 == 0
        members.append(f"c{n},2023-01-{1 + n % 28:02},{f'2024-{1 + n % 8:02}-25' if left else ''}")
        if left:
            calls.append(f"c{n},2023-{6 + n % 6:02}-11")
    (tmp_path / "members.csv").write_text("\n".join(members) + "\n")
    (tmp_path / "calls.csv").write_text("\n".join(calls) + "\n")
    contract = history(
        {
            "members": {"kind": "intervals", "begin": "begin", "end": "end"},
            "calls": {"kind": "events", "time": "at"},
        },
        {"event": "end", "table": "members", "horizon_days": 30},
        until="2024-11-01",
    )
    leaks = find_leaks(contract, prepare(contract, tmp_path, tmp_path / "out"), tmp_path)
    # Thirteen of the hundred had left before the first snapshot.
    assert [(leak.table, leak.column, leak.level) for leak in leaks] == [("calls", None, None)]
    assert "87 of 87 customers who had it left later" in leaks[0].reason


def test_a_state_that_tells_of_a_rows_own_end_is_found_though_most_with_it_stay(tmp_path):
    """Three contracts each: all have ended for some, one for many. The plan is honest, also a trial's."""
    lines = ["customer,begin,end,state,plan,refund"]
    for n in range(300):
        for which in range(3):
            ended = n % 10 == 0 or (which == 0 and n % 2 == 0)
            state, refund = ("07", "5.0") if ended else ("01", "")
            plan = "trial" if which == 0 and n % 4 == 0 else "AB"[n % 2]
            end = f"2024-{1 + n % 8:02}-{10 + which}" if ended else ""
            lines.append(f"c{n},2023-01-0{1 + which},{end},{state},{plan},{refund}")
    (tmp_path / "contracts.csv").write_text("\n".join(lines) + "\n")
    columns = {"state": {"kind": "category"}, "plan": {"kind": "category"}, "refund": {"kind": "number"}}
    contract = history(
        {"contracts": {"kind": "intervals", "begin": "begin", "end": "end", "columns": columns}},
        {"event": "end", "table": "contracts", "horizon_days": 30},
        until="2024-11-01",
    )
    leaks = find_leaks(contract, prepare(contract, tmp_path, tmp_path / "out"), tmp_path)
    assert {leak.place for leak in leaks} == {"contracts.state", "contracts.refund"}
    assert "right in 900 of 900 rows, of which 210 have" in leaks[0].reason


def test_what_nearly_everybody_has_every_month_is_no_warning(tmp_path):
    """Balances at the end of each month until a client leaves; one month of one client is missing."""
    clients, balances = ["customer,begin,end"], ["customer,at"]
    for n in range(300):
        gone = 2 + n % 10 if n % 3 == 0 else 13
        clients.append(f"c{n},2023-01-01,{f'2024-{gone:02}-20' if gone < 13 else ''}")
        balances += [f"c{n},2024-{month:02}-10" for month in range(1, min(gone, 12) + 1)]
    missing = {f"c1,2024-{month:02}-10" for month in (4, 5, 6)}
    balances = [line for line in balances if line not in missing]
    (tmp_path / "clients.csv").write_text("\n".join(clients) + "\n")
    (tmp_path / "balances.csv").write_text("\n".join(balances) + "\n")
    contract = history(
        {
            "clients": {"kind": "intervals", "begin": "begin", "end": "end"},
            "balances": {"kind": "events", "time": "at"},
        },
        {"event": "end", "table": "clients", "horizon_days": 30},
    )
    assert find_leaks(contract, prepare(contract, tmp_path, tmp_path / "out"), tmp_path) == ()


@pytest.mark.skipif(not PURCHASES.is_file(), reason="the public data sets are not at hand")
def test_real_purchases_have_no_leaks_but_a_total_of_all_of_them_is_one(tmp_path):
    sales = pl.read_csv(PURCHASES).filter(pl.col("customer_id") % 10 == 0)
    sales.write_csv(tmp_path / "sales.csv")
    total = sales.group_by("customer_id").agg(spent=pl.col("dollar_value").sum())
    total.with_columns(shoe=pl.col("customer_id") % 7 + 36).write_csv(tmp_path / "people.csv")
    churn = {"event": "inactivity", "table": "sales", "horizon_days": 90}
    customer = {"customer": "customer_id"}
    value = {"dollar_value": {"kind": "number"}}
    tables = {"sales": customer | {"kind": "events", "time": "date", "columns": value}}
    contract = history(tables, churn)
    assert find_leaks(contract, prepare(contract, tmp_path, tmp_path / "one"), tmp_path) == ()
    told = {"spent": {"kind": "number"}, "shoe": {"kind": "number"}}
    contract = history({"people": customer | {"kind": "customers", "columns": told}, **tables}, churn)
    leaks = find_leaks(contract, prepare(contract, tmp_path, tmp_path / "two"), tmp_path)
    assert [leak.place for leak in leaks] == ["people.spent"]


def test_a_total_beside_a_monthly_charge_is_found_although_it_ranks_customers_as_before(tmp_path):
    rng = np.random.default_rng(4)
    lines = ["customer,begin,end,monthly,total"]
    for n in range(1_200):
        begin = date(2020 + n % 4, 1 + n % 12, 1)
        gone = n % 3 == 0
        left = date(2024, 1 + n % 10, 15)
        monthly = 20 + 80 * rng.random()
        months = ((left if gone else date(2024, 12, 1)) - begin).days / 30.4
        total = monthly * months * rng.uniform(0.97, 1.03)
        lines.append(f"c{n},{begin},{left if gone else ''},{monthly:.2f},{total:.2f}")
    (tmp_path / "contracts.csv").write_text("\n".join(lines) + "\n")
    columns = {"monthly": {"kind": "number"}, "total": {"kind": "number"}}
    contract = history(
        {"contracts": {"kind": "intervals", "begin": "begin", "end": "end", "columns": columns}},
        {"event": "end", "table": "contracts", "horizon_days": 30},
        until="2024-12-01",
    )
    leaks = find_leaks(contract, prepare(contract, tmp_path, tmp_path / "out"), tmp_path)
    assert [leak.place for leak in leaks] == ["contracts.total"]
    assert "contracts.monthly over the time as a customer" in leaks[0].reason


def test_a_table_may_have_any_name_that_a_contract_allows(tmp_path):
    rows = "".join(f"C{n},2023-01-01,2023-0{4 + n % 6}-05,gold\n" for n in range(50))
    (tmp_path / "held.csv").write_text(f"customer,begin,end,plan\n{rows}", encoding="utf-8")
    contract = history(
        {"held": INTERVALS | {"columns": {"plan": {"kind": "category"}}}},
        {"event": "end", "table": "held", "horizon_days": 30},
        until=date(2023, 12, 1),
        first=date(2023, 3, 1),
    )
    assert find_leaks(contract, prepare(contract, tmp_path, tmp_path / "prepared"), tmp_path) == ()
