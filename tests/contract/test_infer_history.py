"""From tables alone: which are customers, events and intervals, their clocks, and what leaving means."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from holdfast.contract import Kind, Meaning
from holdfast.contract.guess.history import infer_history, name_tables
from holdfast.contract.history import ChurnEvent, TableKind
from holdfast.contract.load import load_history
from holdfast.errors import DataError, UsageError
from holdfast.simulator.telco.files import write_world
from holdfast.simulator.telco.world import World

N = 400
SPAN = 700
RNG = np.random.default_rng(3)
FIRST = date(2022, 1, 1)
PEOPLE = [f"c{place:04d}" for place in range(N)]
JOINED = RNG.integers(0, 300, N)
STAYED = RNG.integers(30, 600, N)
GONE = JOINED + STAYED  # day on which each leaves, if that is within the data


def day(number):
    return FIRST + timedelta(days=int(number))


def days(numbers):
    return [day(number) for number in numbers]


def ended(numbers):
    return [day(number) if number < SPAN else None for number in numbers]


def customers(**more):
    return pl.DataFrame(
        {"customer_id": PEOPLE, "signup_date": days(JOINED), "city": ["A", "B"] * (N // 2), **more}
    )


def events(every=15, **more):
    """Something that each customer does about every so many days while being one."""
    who, when = [], []
    for place in range(N):
        at = JOINED[place]
        while at < min(GONE[place], SPAN):
            who.append(PEOPLE[place])
            when.append(at)
            at += RNG.integers(1, 2 * every)
    made = {name: values(len(who)) for name, values in more.items()}
    return (
        pl.DataFrame({"customer_id": who, "when": when, **made})
        .sort("when")
        .with_columns(pl.Series("when", [day(at) for at in sorted(when)]))
    )


def subscriptions(**more):
    return pl.DataFrame(
        {
            "subscription_id": range(1, N + 1),
            "customer_id": PEOPLE,
            "plan": ["S", "M", "L", "XL"] * (N // 4),
            "start_date": days(JOINED),
            "end_date": ended(GONE),
            **more,
        }
    )


def kinds(inferred):
    return {name: table.kind for name, table in inferred.history.tables.items()}


class TestOneTableOfEvents:
    def test_a_purchase_log_needs_nothing_typed_in(self, shared_data):
        log = pl.read_csv(shared_data / "cdnow_transactions.csv", infer_schema=False)
        history = infer_history({"cdnow_transactions.csv": log}).history
        table = history.tables["cdnow_transactions"]
        assert (table.kind, table.customer, table.time) == (TableKind.EVENTS, "customer_id", "date")
        assert {name: column.kind for name, column in table.inputs.items()} == {
            "number_of_cds": Kind.INTEGER,
            "dollar_value": Kind.NUMBER,
        }
        assert history.churn.event is ChurnEvent.INACTIVITY
        assert history.churn.horizon_days == 90
        assert history.customers is None
        assert history.clock.snapshots == "monthly"

    @pytest.fixture(scope="class")
    @classmethod
    def invoices(cls):
        lines = events(20)
        count = lines.height
        return pl.DataFrame(
            {
                "InvoiceNo": [f"{'' if place % 17 else 'C'}{530_000 + place // 3}" for place in range(count)],
                "StockCode": [f"{20_000 + place % 900}A" for place in range(count)],
                "Quantity": [-(place % 9) if place % 17 == 0 else 1 + place % 9 for place in range(count)],
                "InvoiceDate": [f"{at.day}/{at.month}/{at.year} 8:26" for at in lines["when"]],
                "UnitPrice": [f"{1 + place % 40 / 7:.2f}" for place in range(count)],
                "CustomerID": [None if place % 5 == 0 else f"{int(one[1:]) + 12_000}.0"
                               for place, one in enumerate(lines["customer_id"])],
                "Country": ["United Kingdom", "France"] * (count // 2) + ["France"] * (count % 2),
            }
        )  # fmt: skip

    def test_invoices_with_returns_and_missing_customers(self, invoices):
        inferred = infer_history({"Online Retail.csv": invoices})
        table = inferred.history.tables["online_retail"]
        assert (table.kind, table.customer, table.time) == (TableKind.EVENTS, "CustomerID", "InvoiceDate")
        assert table.id is None  # an invoice has several lines: they are no versions of each other
        assert table.day_first
        assert table.columns["InvoiceNo"].exclude
        assert table.columns["Quantity"].min < 0
        assert '(20.0%) have no "CustomerID"' in inferred.notes["tables", "online_retail"]
        assert inferred.history.churn.above == {"Quantity": 0}
        assert "returns" in inferred.notes["churn", "above", "Quantity"]

    @pytest.mark.parametrize("quantity", [pl.col("Quantity").abs(), pl.col("Quantity") - 5])
    def test_without_returns_or_with_two_sides_of_a_ledger_all_rows_count(self, invoices, quantity):
        changed = invoices.with_columns(quantity)
        assert infer_history({"invoices": changed}).history.churn.above == {}

    def test_numbers_of_invoices_are_names_though_most_are_whole_numbers(self, invoices):
        number = pl.when(pl.int_range(pl.len()) % 97 > 0).then(pl.col("InvoiceNo").str.strip_prefix("C"))
        inferred = infer_history({"retail": invoices.with_columns(number.otherwise("InvoiceNo"))})
        assert inferred.excluded["retail.InvoiceNo"].startswith("identifier")

    @pytest.mark.parametrize("name", ["Invoice", "Beleg"])
    def test_whole_numbers_among_codes_of_as_many_digits_are_names(self, invoices, name):
        number = pl.int_range(pl.len()) // 3 * 7 % 30_011 + 530_000
        codes = pl.when(pl.int_range(pl.len()) % 97 > 0).then(number.cast(pl.String))
        log = invoices.with_columns(codes.otherwise(pl.format("C{}", number)).alias(name)).select(
            name, pl.exclude("InvoiceNo", name)
        )
        inferred = infer_history({"retail": log})
        assert "some are codes of as many digits" in inferred.excluded[f"retail.{name}"]

    def test_whole_numbers_given_out_in_turn_are_names(self):
        log = events().with_columns(bond=pl.int_range(pl.len()) // 2 * 2 + 7)
        bonds = log.group_by("bond", maintain_order=True).agg(pl.col("customer_id", "when").first())
        inferred = infer_history({"log": pl.concat([bonds, bonds])})
        assert 'each of one customer, that rise with "when"' in inferred.excluded["log.bond"]

    def test_whole_numbers_under_the_name_of_what_has_numbers_are_names(self):
        log = events().with_columns(Order=pl.int_range(pl.len()) * 7_919 % 90_001 + 10_000)
        inferred = infer_history({"log": pl.concat([log, log])})
        assert "its name says that they are names" in inferred.excluded["log.Order"]

    def test_quantities_stay(self):
        log = events()
        since = (pl.col("when") - pl.col("when").min().over("customer_id")).dt.total_days()
        month = (pl.col("when") - FIRST).dt.total_days() // 7
        log = log.with_columns(
            tenure=since,
            weeks_of_all=month,
            order=(pl.int_range(pl.len()) * 7_919) % 500 + 1_000,
            meter=(pl.int_range(pl.len()) * 7_919) % 90_001 + 10_000,
            cents=pl.when(pl.int_range(pl.len()) % 97 > 0)
            .then((pl.int_range(pl.len()) * 31 % 977).cast(pl.String))
            .otherwise(pl.lit("on request")),
        )
        inputs = infer_history({"log": pl.concat([log, log])}).history.tables["log"].inputs
        quantities = {"tenure", "weeks_of_all", "order", "meter", "cents"}
        assert {name for name, column in inputs.items() if column.kind is Kind.INTEGER} == quantities

    def test_levels_too_many_for_features_are_told(self, invoices):
        towns = invoices.with_columns(Town=pl.format("Town {}", pl.int_range(pl.len()) % 12))
        inferred = infer_history({"retail": towns})
        assert list(inferred.history.tables["retail"].used) == ["Quantity", "UnitPrice", "Country"]
        said = {
            path[3]: note for path, note in inferred.notes.items() if path[-1] == "kind" and len(path) > 4
        }
        assert said["Town"].startswith("12 levels; ")
        assert said["StockCode"].startswith("900 levels; ")
        for column in ("Town", "StockCode"):
            assert said[column].endswith("no features are made from more than 8 levels")
            assert "learned" not in said[column]
        assert "no features" not in said["Country"]

    def test_what_cannot_be_read_counts_as_missing_and_rejects_no_row(self, invoices):
        odd = pl.when(pl.int_range(pl.len()) % 997 > 0).then("UnitPrice").otherwise(pl.lit("free of charge"))
        inferred = infer_history({"retail": invoices.with_columns(UnitPrice=odd)})
        said = inferred.notes["tables", "retail", "columns", "UnitPrice", "kind"]
        assert "hold something else and count as missing" in said

    def test_a_customer_is_worth_what_one_spends_in_a_year(self, invoices):
        inferred = infer_history({"invoices": invoices})
        said = inferred.notes["economics", "customer_value"]
        assert '"Quantity" times "UnitPrice"' in said
        known = invoices.drop_nulls("CustomerID").select(
            "CustomerID",
            pl.col("InvoiceDate").str.to_date("%d/%m/%Y %H:%M").alias("day"),
            (pl.col("Quantity") * pl.col("UnitPrice").cast(pl.Float64)).alias("money"),
        )
        last = invoices["InvoiceDate"].str.to_date("%d/%m/%Y %H:%M").max()
        firsts = known.group_by("CustomerID").agg(pl.col("day").min())["day"]
        there = (last - firsts).dt.total_days().clip(30).sum()
        yearly = known["money"].sum() / there * 365.25
        assert inferred.history.economics.customer_value == float(f"{yearly:.2g}")

    def test_an_override_wins_over_the_guess(self, invoices):
        history = infer_history({"a": invoices}, horizon_days=45, time_zone="Europe/London").history
        assert (history.churn.horizon_days, history.clock.time_zone) == (45, "Europe/London")
        with pytest.raises(UsageError, match="no interval or customer has one"):
            infer_history({"a": invoices}, churn=ChurnEvent.END)
        with pytest.raises(UsageError, match='No table has a column "Custommer"'):
            infer_history({"a": invoices}, customer="Custommer")

    def test_the_customer_can_be_named(self):
        log = events().rename({"customer_id": "shop"}).with_columns(pl.lit("x").alias("note"))
        table = infer_history({"log": log}, customer="shop").history.tables["log"]
        assert (table.customer, table.time) == ("shop", "when")

    def test_where_nobody_comes_twice_nothing_is_said_of_how_often(self):
        once = events().unique("customer_id", keep="first", maintain_order=True)
        twice_on_one_day = pl.concat([once, once])
        inferred = infer_history({"log": twice_on_one_day}, churn=ChurnEvent.INACTIVITY)
        assert "no customer has events on two days" in inferred.notes["churn", "horizon_days"]

    def test_a_short_log_is_looked_at_weekly_over_short_windows(self):
        log = events(5).filter(pl.col("when") < day(200))
        clock = infer_history({"log": log}).history.clock
        assert clock.snapshots == "weekly"
        assert clock.windows[-1] < 365


class TestContractsOverFourTables:
    @pytest.fixture(scope="class")
    @classmethod
    def inferred(cls):
        monthly = RNG.uniform(20, 90, N).round(2)
        internet = ["DSL", "Fiber"] * 150
        months = [day(30 * (number // 30)) for number in JOINED]
        return infer_history(
            {
                "contract.csv": pl.DataFrame(
                    {
                        "customerID": PEOPLE,
                        "BeginDate": [str(one) for one in months],
                        "EndDate": [f"{day(at)} 00:00:00" if at < SPAN else "No" for at in GONE],
                        "Type": ["Month-to-month", "One year"] * (N // 2),
                        "MonthlyCharges": [str(one) for one in monthly],
                        "TotalCharges": [f"{one * 7:.2f}" for one in monthly],
                    }
                ),
                "internet.csv": pl.DataFrame({"customerID": PEOPLE[:300], "InternetService": internet}),
                "personal.csv": pl.DataFrame({"customerID": PEOPLE, "gender": ["Male", "Female"] * (N // 2)}),
                "phone.csv": pl.DataFrame({"customerID": PEOPLE[50:], "MultipleLines": ["Yes", "No"] * 175}),
            }
        )  # fmt: skip

    def test_one_table_is_the_register_one_has_the_times_the_rest_say_more(self, inferred):
        assert kinds(inferred) == {
            "personal": TableKind.CUSTOMERS,
            "contract": TableKind.INTERVALS,
            "internet": TableKind.CUSTOMERS,
            "phone": TableKind.CUSTOMERS,
        }
        assert inferred.history.customers == "personal"
        contract = inferred.history.tables["contract"]
        assert (contract.begin, contract.end, contract.ongoing) == ("BeginDate", "EndDate", ("No",))

    def test_leaving_is_the_end_of_a_contract(self, inferred):
        churn = inferred.history.churn
        assert (churn.event, churn.table) == (ChurnEvent.END, "contract")

    def test_todays_total_is_left_out_and_the_charge_is_money(self, inferred):
        columns = inferred.history.tables["contract"].columns
        assert columns["TotalCharges"].exclude.startswith("leak: ")
        assert columns["MonthlyCharges"].meaning is Meaning.MONTHLY_CHARGE
        assert inferred.history.economics.customer_value > 200

    def test_every_guess_has_its_reason(self, inferred):
        for name in inferred.history.tables:
            assert inferred.notes["tables", name, "kind"]
            assert inferred.notes["tables", name, "customer"]
        assert {
            ("churn", "event"),
            ("churn", "horizon_days"),
            ("clock", "time_zone"),
        } <= inferred.notes.keys()


class TestSubscriptions:
    @pytest.fixture(scope="class")
    @classmethod
    def inferred(cls):
        bills = events(30, status=lambda count: RNG.choice(["paid", "declined"], count, p=[0.9, 0.1]))
        tickets = events(200).rename({"when": "opened_at"})
        count = tickets.height
        return infer_history(
            {
                "users": customers(),
                "subscriptions": subscriptions(
                    end_reason=["moved" if at < SPAN else None for at in GONE],
                    state=["gone" if at < SPAN else "here" for at in GONE],
                ),
                "payments": bills.rename({"when": "paid_on"}).with_columns(
                    pl.col("paid_on").dt.offset_by("1d").alias("recorded_at"),
                    payment_id=pl.int_range(pl.len()),
                    amount=pl.lit(9.5) + pl.int_range(pl.len()) % 7,
                ),
                "support_tickets": tickets.with_columns(
                    pl.col("opened_at").dt.offset_by("5d").alias("closed_at"),
                    satisfaction=pl.Series([1, 2, 3, 4, 5] * (count // 5) + [1] * (count % 5)),
                    topic=pl.Series(["bill", "line"] * (count // 2) + ["bill"] * (count % 2)),
                    expires_on=pl.col("opened_at").dt.offset_by("400d"),
                ),
            }
        )  # fmt: skip

    def test_kinds_keys_and_clocks(self, inferred):
        assert kinds(inferred) == {
            "users": TableKind.CUSTOMERS,
            "subscriptions": TableKind.INTERVALS,
            "payments": TableKind.EVENTS,
            "support_tickets": TableKind.EVENTS,
        }
        tables = inferred.history.tables
        assert tables["users"].begin == "signup_date"
        assert (tables["subscriptions"].begin, tables["subscriptions"].end) == ("start_date", "end_date")
        assert tables["subscriptions"].id == "subscription_id"
        assert (tables["payments"].time, tables["payments"].known) == ("paid_on", "recorded_at")
        assert (tables["support_tickets"].time, tables["support_tickets"].known) == ("opened_at", None)

    def test_a_level_that_means_failure_is_found(self, inferred):
        assert inferred.history.tables["payments"].failures == {"status": ("declined",)}

    def test_columns_that_know_the_future_are_left_out_plans_are_kept(self, inferred):
        left_out = {name for name, why in inferred.excluded.items() if why.startswith("leak")}
        assert left_out == {
            "subscriptions.end_reason",
            "subscriptions.state",
            "support_tickets.closed_at",
            "support_tickets.satisfaction",
        }
        assert inferred.history.tables["support_tickets"].columns["expires_on"].kind is Kind.DATE

    def test_leaving_is_the_end_of_a_subscription(self, inferred):
        assert (inferred.history.churn.event, inferred.history.churn.table) == (
            ChurnEvent.END,
            "subscriptions",
        )


def test_one_table_of_customers_with_ends_is_a_history():
    table = customers(left_on=ended(GONE)).cast(pl.String).with_columns(pl.col("left_on").fill_null(" "))
    history = infer_history({"customers": table}).history
    assert kinds(infer_history({"customers": table})) == {"customers": TableKind.CUSTOMERS}
    assert (history.tables["customers"].begin, history.tables["customers"].end) == ("signup_date", "left_on")
    assert (history.churn.event, history.churn.table) == (ChurnEvent.END, "customers")
    assert history.clock.snapshots == "monthly"
    assert history.clock.windows[-1] == 365


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%d.%m.%Y", None])
def test_an_end_in_the_year_9999_is_none(written):
    endless = pl.col("end_date").fill_null(date(9999, 12, 31))
    whole = subscriptions().with_columns(endless if written is None else endless.dt.strftime(written))
    if written is not None:
        whole = whole.with_columns(pl.col("start_date").dt.strftime(written))
    inferred = infer_history({"subscriptions": whole, "visits": events()})
    plain = infer_history({"subscriptions": subscriptions(), "visits": events()})
    assert inferred.history.churn == plain.history.churn
    assert (inferred.history.tables["subscriptions"].end, inferred.history.clock) == (
        "end_date",
        plain.history.clock,
    )
    assert inferred.notes["tables", "subscriptions", "end"] == plain.notes["tables", "subscriptions", "end"]


def german(people, contracts, visits):
    """The tables as a German insurer exports them."""
    return {
        "Kunden": people.rename({"customer_id": "Kundennr", "signup_date": "Kunde seit"}).with_columns(
            Geburtsdatum=pl.lit(date(1970, 1, 1)).dt.offset_by(pl.format("{}d", pl.int_range(pl.len())))
        ),
        "Verträge": contracts.rename(
            {"customer_id": "Kundennr", "start_date": "Vertragsbeginn", "end_date": "Vertragsende"}
        ),
        "Besuche": visits.rename({"customer_id": "Kundennr", "when": "Meldedatum"}),
    }


def test_german_names_are_understood():
    inferred = infer_history(german(customers(), subscriptions(), events()))
    tables = inferred.history.tables
    assert {table.customer for table in tables.values()} == {"Kundennr"}
    assert tables["kunden"].begin == "Kunde seit"
    assert (inferred.history.churn.event, tables[inferred.history.churn.table].end) == (
        ChurnEvent.END,
        "Vertragsende",
    )


def test_names_that_say_nothing_leave_what_the_values_say():
    """The key is shared and unique in one table; what runs until 9999 is an end; states are no customers."""
    status = pl.Series(["old", "new"] * (N // 2))
    people = customers(customer_status=status).rename({"customer_id": "PARTNER", "signup_date": "XDAT"})
    contracts = subscriptions().rename({"customer_id": "PARTNER", "start_date": "VDAT", "end_date": "VDAT2"})
    contracts = contracts.with_columns(pl.col("VDAT2").fill_null(date(9999, 12, 31)))
    inferred = infer_history(
        {"gp": people, "vtr": contracts, "bew": events().rename({"customer_id": "PARTNER"})}
    )
    tables = inferred.history.tables
    assert {table.customer for table in tables.values()} == {"PARTNER"}
    assert (tables["vtr"].begin, tables["vtr"].end, inferred.history.churn.table) == ("VDAT", "VDAT2", "vtr")


def test_what_comes_every_quarter_is_not_missed_after_ninety_days():
    paid = [(who, at) for who in range(N) for at in range(who % 90, SPAN, 91 + who % 2)]
    bills = pl.DataFrame(
        {"customer_id": [PEOPLE[who] for who, _ in paid], "due_date": [day(at) for _, at in paid]}
    )
    assert infer_history({"bills": bills}).history.churn.horizon_days == 180


def test_whoever_moves_house_has_not_left():
    addresses = subscriptions().rename({"subscription_id": "address_id", "plan": "street"})
    tables = {"addresses": addresses, "orders": events()}
    churn = infer_history(tables).history.churn
    assert (churn.event, churn.table) == (ChurnEvent.INACTIVITY, "orders")
    assert infer_history(tables, churn=ChurnEvent.END).history.churn.table == "addresses"


def test_a_change_of_plan_is_no_leaving():
    """Each plan lasts 30 days and the next begins on the day it ends; one customer in ten really leaves."""
    begins = [(place, start) for place in range(N) for start in range(0, SPAN, 30)]
    rows = [(place, start) for place, start in begins if place % 10 or start < 300]
    plans = pl.DataFrame(
        {
            "customer_id": [PEOPLE[place] for place, _ in rows],
            "start_date": [day(start) for _, start in rows],
            "end_date": ended([start + 30 for _, start in rows]),
        }
    )
    inferred = infer_history({"plans": plans})
    assert "as they did 40 times" in inferred.notes["churn", "event"]
    assert inferred.history.churn.grace_days == 0


def test_renewals_make_a_grace():
    again = subscriptions().filter(pl.col("end_date").is_not_null()).head(100)
    renewed = again.with_columns(
        subscription_id=pl.col("subscription_id") + N,
        start_date=pl.col("end_date").dt.offset_by("5d"),
        end_date=pl.lit(None, pl.Date),
    )
    inferred = infer_history({"subscriptions": pl.concat([subscriptions(), renewed])})
    assert inferred.history.churn.grace_days == 7
    assert infer_history({"subscriptions": subscriptions()}).history.churn.grace_days == 0


def test_where_earlier_ends_were_not_kept_snapshots_begin_with_the_ends():
    early = subscriptions().filter(pl.col("end_date").is_null() | (pl.col("end_date") >= day(500)))
    # Nothing begins after day 300, but the ends go on.
    inferred = infer_history({"subscriptions": early})
    assert inferred.history.clock.first == day(500).replace(day=1)
    assert "not to have been kept" in inferred.notes["clock", "first"]
    assert infer_history({"subscriptions": subscriptions()}).history.clock.first is None


def test_ends_beyond_the_last_begin_are_within_the_data_but_a_few_are_plans():
    clock = infer_history({"subscriptions": subscriptions()}).history.clock
    assert clock.until == subscriptions()["end_date"].max() + timedelta(days=1)
    planned = subscriptions().with_columns(
        end_date=pl.when(pl.int_range(pl.len()) < 10).then(pl.lit(day(SPAN + 90))).otherwise("end_date")
    )
    assert infer_history({"subscriptions": planned, "visits": events()}).history.clock.until is None


class TestCancellations:
    def log(self, level, column="event_type"):
        seen = events(10).with_columns(pl.lit("visit").alias(column))
        left = pl.DataFrame({"customer_id": PEOPLE, "when": days(GONE), column: level}).filter(
            pl.col("when") < day(SPAN)
        )
        return pl.concat([seen, left]).sort("when", "customer_id")

    def test_a_level_that_says_so(self):
        churn = infer_history({"events": self.log("cancel_subscription")}).history.churn
        assert (churn.event, churn.table) == (ChurnEvent.CANCELLATION, "events")
        assert churn.where == {"event_type": ("cancel_subscription",)}

    @pytest.mark.parametrize(("yes", "no", "level"), [(True, False, "true"), (1, 0, "1"), ("Y", "N", "Y")])
    def test_a_flag_that_says_so(self, yes, no, level):
        left = pl.when(pl.col("event_type") == "cancel").then(pl.lit(yes)).otherwise(pl.lit(no))
        flagged = self.log("cancel").select("customer_id", "when", is_cancel=left)
        churn = infer_history({"transactions": flagged}).history.churn
        assert (churn.event, churn.where) == (ChurnEvent.CANCELLATION, {"is_cancel": (level,)})

    def test_a_table_that_says_so(self):
        left = pl.DataFrame({"customer_id": PEOPLE, "when": days(GONE)}).filter(pl.col("when") < day(SPAN))
        inferred = infer_history({"visits": events(), "cancellations": left})
        assert kinds(inferred)["cancellations"] is TableKind.EVENTS
        churn = inferred.history.churn
        assert (churn.event, churn.table, churn.where) == (ChurnEvent.CANCELLATION, "cancellations", {})

    @pytest.mark.parametrize(
        ("level", "column"), [("cancellation_request", "event_type"), ("cancelled", "status")]
    )
    def test_a_request_or_a_cancelled_order_is_no_leaving(self, level, column):
        churn = infer_history({"orders": self.log(level, column)}).history.churn
        assert churn.event is ChurnEvent.INACTIVITY

    def test_whoever_goes_on_has_not_left(self):
        log = self.log("cancel").with_columns(
            event_type=pl.when(pl.int_range(pl.len()) % 20 == 3)
            .then(pl.lit("cancel"))
            .otherwise(pl.lit("visit"))
        )
        assert infer_history({"events": log}).history.churn.event is ChurnEvent.INACTIVITY

    def test_nobody_leaving_by_an_end_the_next_definition_is_tried(self):
        lasting = subscriptions().with_columns(end_date=pl.lit(None, pl.Date))
        first = lasting.head(1).with_columns(subscription_id=pl.lit(0, pl.Int64), end_date=day(600))
        tables = {"subscriptions": pl.concat([lasting, first]), "events": self.log("churned")}
        assert infer_history(tables).history.churn.event is ChurnEvent.CANCELLATION


class TestKnownAt:
    def table(self, known, name="updated_at"):
        return events().with_columns(known.alias(name))

    @pytest.mark.parametrize(
        "name", ["known_at", "recorded_at", "created_at", "loaded_at", "ingested_at", "updated_at"]
    )
    def test_its_names(self, name):
        found = infer_history({"events": self.table(pl.col("when").dt.offset_by("2d"), name)})
        assert (found.history.tables["events"].time, found.history.tables["events"].known) == ("when", name)

    def test_what_becomes_known_late_makes_the_data_no_longer(self):
        late = self.table(pl.col("when").dt.offset_by("9d"), "known_at")
        assert infer_history({"events": late}).history.clock.until == late["when"].max() + timedelta(days=1)
        at_once = self.table(pl.col("when"), "known_at")
        assert infer_history({"events": at_once}).history.clock.until is None

    def test_a_few_rows_in_the_far_future_do_not_make_the_data_longer(self):
        junk = events().with_columns(
            when=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(date(2099, 1, 1))).otherwise("when")
        )
        last = junk.filter(pl.col("when") < date(2099, 1, 1))["when"].max()
        late = junk.with_columns(pl.col("when").dt.offset_by("9d").alias("known_at"))
        assert infer_history({"events": late}).history.clock.until == last + timedelta(days=1)

    def test_never_before_the_time(self):
        inferred = infer_history({"events": self.table(pl.col("when").dt.offset_by("-2d"), "loaded_at")})
        assert inferred.history.tables["events"].known is None
        assert "often before" in inferred.notes["tables", "events"]

    def test_not_when_all_was_loaded_at_once(self):
        inferred = infer_history({"events": self.table(pl.lit(day(SPAN)), "loaded_at")})
        assert inferred.history.tables["events"].known is None
        assert "when the table was loaded" in inferred.notes["tables", "events"]

    def test_not_the_last_change_of_a_row_that_is_changed_in_place(self):
        changed = subscriptions(updated_at=[day(min(at, SPAN)) for at in GONE])
        inferred = infer_history({"subscriptions": changed})
        assert inferred.history.tables["subscriptions"].known is None
        assert "what it said before is lost" in inferred.notes["tables", "subscriptions"]

    def test_versions_of_customers_are_found(self):
        moved = customers().with_columns(updated_at=pl.col("signup_date"))
        again = moved.head(100).with_columns(
            pl.lit("C").alias("city"), pl.col("updated_at").dt.offset_by("40d")
        )
        table = infer_history({"customers": pl.concat([moved, again]), "log": events()}).history.tables[
            "customers"
        ]
        assert (table.kind, table.id, table.known) == (TableKind.CUSTOMERS, "customer_id", "updated_at")

    def test_versions_of_a_row_are_found(self):
        fresh = subscriptions(end_date=[None] * N, known_at=days(JOINED))
        later = subscriptions(known_at=[day(at + 1) for at in GONE]).filter(pl.col("end_date").is_not_null())
        versions = pl.concat([fresh.with_columns(pl.col("end_date").cast(pl.Date)), later]).sample(
            fraction=1, shuffle=True, seed=1
        )
        table = infer_history({"subscriptions": versions}).history.tables["subscriptions"]
        assert (table.id, table.known, table.end) == ("subscription_id", "known_at", "end_date")


class TestKeys:
    def test_the_id_of_a_table_of_users_is_what_others_call_user_id(self):
        users = pl.DataFrame(
            {"id": range(1, N + 1), "name": [f"n{place}" for place in range(N)], "created_at": days(JOINED)}
        )
        orders = (
            events()
            .with_columns(user_id=pl.col("customer_id").str.slice(1).cast(pl.Int64) + 1)
            .drop("customer_id")
        )
        orders = orders.with_columns(id=pl.int_range(1, pl.len() + 1))
        history = infer_history({"users": users, "orders": orders}).history
        assert (history.tables["users"].customer, history.tables["users"].begin) == ("id", "created_at")
        assert (history.tables["orders"].customer, history.tables["orders"].id) == ("user_id", "id")

    def test_a_table_without_the_key_is_left_out_with_what_to_do(self):
        bills = pl.DataFrame(
            {"bill_id": range(N), "subscription_id": range(1, N + 1), "billed_on": days(JOINED)}
        )
        inferred = infer_history({"subscriptions": subscriptions(), "bills": bills})
        assert list(inferred.history.tables) == ["subscriptions"]
        assert 'join it to "subscriptions" on "subscription_id"' in inferred.left_out["bills"]

    def test_customers_that_the_register_does_not_have_are_told(self):
        log = events()
        some = customers().head(N // 2)
        said = infer_history({"customers": some, "log": log}).notes["tables", "customers"]
        unknown = set(log["customer_id"]) - set(some["customer_id"])
        assert f'{len(unknown)} of {log["customer_id"].n_unique()} customers of "log" are not in it' in said
        assert ("tables", "customers") not in infer_history({"customers": customers(), "log": log}).notes

    def test_a_table_without_times_is_left_out(self):
        several = pl.DataFrame({"customer_id": PEOPLE * 2, "hobby": ["chess", "go"] * N})
        inferred = infer_history({"log": events(), "hobbies": several})
        assert inferred.left_out["hobbies"].endswith("no column says when, and customers have several")

    @pytest.mark.parametrize("unit", ["s", "ms"])
    def test_seconds_since_1970_are_told(self, unit):
        counted = events().with_columns(pl.col("when").dt.epoch(unit).alias("event_ts")).drop("when")
        inferred = infer_history({"log": events(), "clicks": counted})
        assert '"event_ts" seems to count from 1970' in inferred.left_out["clicks"]

    def test_a_table_whose_ids_lost_their_zeros_is_told(self):
        padded = customers().with_columns(customer_id=pl.format("00{}", pl.int_range(1, pl.len() + 1)))
        bare = events().with_columns(customer_id=pl.col("customer_id").str.slice(1).cast(pl.Int64) + 1)
        why = infer_history({"people": padded, "log": bare}).left_out["people"]
        assert 'such as "001" and "1": write leading zeros in both, or in neither' in why

    @pytest.mark.parametrize("register", [True, False])
    def test_a_number_of_each_row_is_no_customer_where_others_are_in_several_tables(self, register):
        log = events().with_columns(badge=pl.col("customer_id").str.replace("c", "00")).drop("customer_id")
        paid = log.with_columns(receipt=pl.format("Z{}", pl.int_range(pl.len())))
        bare = customers().with_columns(badge=pl.int_range(pl.len())).drop("customer_id")
        tables = {"visits": log, "paid": paid} | ({"people": bare} if register else {})
        if not register:
            with pytest.raises(DataError, match="whose row it is") as caught:
                infer_history(tables)
            assert 'perhaps --id "badge"' in caught.value.hint
            return
        inferred = infer_history(tables)
        assert {table.customer for table in inferred.history.tables.values()} == {"badge"}
        assert list(inferred.history.tables) == ["visits", "paid"]
        assert "write leading zeros in both, or in neither" in inferred.left_out["people"]

    def test_a_place_that_several_tables_have_does_not_hide_the_key_of_one(self):
        at = [str(10_000 + place % 100) for place in range(N)]
        people = subscriptions().rename({"customer_id": "patient_id"}).drop("subscription_id")
        people = people.with_columns(zip=pl.Series(at))
        shops = pl.DataFrame({"zip": at[:200], "size": range(200)})
        inferred = infer_history({"people": people, "shops": shops})
        assert inferred.history.tables["people"].customer == "patient_id"

    def test_an_empty_table_is_left_out(self):
        inferred = infer_history(
            {"log": events(), "empty": pl.DataFrame({"customer_id": pl.Series([], dtype=pl.String)})}
        )
        assert inferred.left_out == {"empty": "The table has no rows."}


class TestRefusals:
    def test_tables_without_any_time_are_to_be_joined(self, shared_data):
        folder = shared_data / "telco_churn_extended_tables"
        tables = {file.name: pl.read_csv(file, infer_schema=False) for file in sorted(folder.iterdir())}
        with pytest.raises(DataError, match="No table says when anything happened") as caught:
            infer_history(tables)
        assert "Join them" in caught.value.hint
        assert '"Customer ID"' in caught.value.hint
        assert '--label "Churn Label"' in caught.value.hint

    def test_each_table_has_its_reason_where_none_has_times(self):
        counted = events().with_columns(pl.col("when").dt.epoch("ms").alias("event_ts")).drop("when")
        with pytest.raises(DataError, match="No table says when anything happened") as caught:
            infer_history({"clicks": counted, "users": customers()})
        told = caught.value.message.splitlines()[1:]
        assert '"event_ts" seems to count from 1970' in told[0]
        assert told[1] == (
            '  users: a row a customer; "signup_date" says when they joined, but no column says when '
            "they left."
        )
        assert "Join" not in caught.value.hint

    @pytest.mark.parametrize(
        ("second", "said"),
        [
            ("%d-%m-%Y", ["month first", 'such as "0', "day first", "write all of them in one way"]),
            ("week %W of %Y", ["cannot be read", '"week 5']),
        ],
    )
    def test_dates_that_cannot_be_read_together_are_told(self, second, said):
        log = events()
        early = pl.col("when") < day(SPAN // 2)
        written = pl.when(early).then(pl.col("when").dt.strftime("%m/%d/%Y"))
        mixed = log.with_columns(day=written.otherwise(pl.col("when").dt.strftime(second))).drop("when")
        with pytest.raises(DataError) as caught:
            infer_history({"log": mixed})
        for some in ['"day"', *said]:
            assert some in caught.value.message
        assert "Mend" in caught.value.hint

    def test_ids_in_capitals_in_one_table_only_are_told(self):
        some = pl.DataFrame({"customer_id": PEOPLE, "plan": ["A", "B"] * (N // 2)})
        shouted = subscriptions().with_columns(pl.col("customer_id").str.to_uppercase())
        with pytest.raises(DataError) as caught:
            infer_history({"subscriptions": shouted, "one": some, "other": some})
        assert 'such as "C0000" and "c0000": write small letters in both, or capitals' in caught.value.message
        assert "Join" not in caught.value.hint

    def test_a_table_without_times_is_not_to_be_joined_with_itself(self):
        several = pl.DataFrame({"customer_id": PEOPLE * 2, "hobby": ["chess", "go"] * N})
        with pytest.raises(DataError) as caught:
            infer_history({"hobbies": several})
        assert "says when each row happened" in caught.value.hint
        with pytest.raises(DataError) as caught:
            infer_history({"people": several.head(N)})
        assert 'Describe "people" alone' in caught.value.hint

    def test_a_file_without_names_of_columns(self):
        bare = pl.DataFrame(
            {"00001": ["00001", "00002"], "19970118": ["19970112", "19970113"], "2": ["1", "5"]}
        )
        with pytest.raises(DataError, match="None of the tables can be read") as caught:
            infer_history({"log": bare})
        assert 'log: its first line, "00001", "19970118", "2", has no names' in caught.value.hint

    def test_nobodys_rows(self):
        with pytest.raises(DataError, match="whose row it is"):
            infer_history({"log": pl.DataFrame({"temperature": [1.5, 2.5, 2.5], "day": days([1, 2, 3])})})

    def test_nothing_at_all(self):
        with pytest.raises(DataError, match="None of the tables can be read"):
            infer_history({"log": pl.DataFrame()})


def test_names_of_tables_are_names_that_a_contract_allows():
    given = [
        "Kunden (neu).csv",
        "Verträge.csv",
        "orders/",
        "Orders.parquet",
        "s3://bucket/x/2020 bills.csv.gz",
        "table:main.Users",
        "---",
    ]
    assert list(name_tables(given).values()) == [
        "kunden_neu",
        "vertrage",
        "orders",
        "orders_v2",
        "table_2020_bills",
        "users",
        "table",
    ]


def test_the_same_tables_give_the_same_contract_whatever_their_types():
    tables = {"users": customers(), "subscriptions": subscriptions(), "visits": events()}
    as_text = {name: table.cast(pl.String) for name, table in tables.items()}
    assert infer_history(as_text).history == infer_history(tables).history


def test_a_simulated_telco_is_described_as_its_maker_does(tmp_path):
    write_world(World(400, 14, seed=3), tmp_path)
    made = load_history(tmp_path / "churn.toml")
    tables = {name: pl.read_parquet(tmp_path / f"{name}.parquet") for name in made.tables}
    guessed = infer_history(tables).history
    said = {"kind", "customer", "id", "time", "begin", "end", "known", "failures"}
    for name, table in made.tables.items():
        assert guessed.tables[name].model_dump(include=said) == table.model_dump(include=said)
    assert (guessed.churn, guessed.clock.until) == (made.churn, made.clock.until)
