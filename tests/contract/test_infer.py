"""The guesses, on real files and on made-up ones in the style of what companies have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract import Contract, Kind, Meaning
from holdfast.contract.guess.label import LabelError
from holdfast.contract.infer import infer_contract
from holdfast.contract.load import parse_contract
from holdfast.contract.write import render
from holdfast.errors import DataError, HoldfastError, UsageError
from holdfast.sources import read_table

N = 3_000
RNG = np.random.default_rng(5)
SCORE = RNG.normal(size=N)
X = [place % 7 + 0.5 for place in range(30)]
LEFT = (RNG.random(N) < 1 / (1 + np.exp(-1.5 * SCORE + 1.2))).astype(int)


def infer(columns, label="Churn", **settings):
    """Infer from columns and a label of 0 and 1 that `SCORE` tells with an AUC of about .8."""
    frame = pl.DataFrame({"base": np.round(SCORE, 3), **columns, "Churn": LEFT})
    return infer_contract(frame, label=label, **settings)


def column(values, name="x", **settings):
    inferred = infer({name: values}, **settings)
    return inferred.contract.columns[name]


def excluded(values, name="x"):
    return column(values, name).exclude or ""


def meant(contract, meaning):
    return [name for name, column in contract.inputs.items() if column.meaning is meaning]


def texts(pattern, *values):
    return [pattern.format(*items) for items in zip(*values, strict=True)]


@pytest.fixture(scope="module")
def telco(shared_data):
    return infer_contract(read_table(shared_data / "telco_churn.csv").frame, label="Churn")


class TestTelco:
    def test_nothing_is_left_out_and_the_id_is_found(self, telco):
        assert telco.excluded == {}
        assert telco.contract.id_column == "customerID"
        assert (telco.contract.churn.positive, telco.contract.churn.negative) == ("Yes", "No")

    def test_kinds(self, telco):
        kinds = {name: column.kind for name, column in telco.contract.columns.items()}
        assert kinds["tenure"] is Kind.INTEGER
        assert kinds["TotalCharges"] is kinds["MonthlyCharges"] is Kind.NUMBER
        assert kinds["SeniorCitizen"] is kinds["Partner"] is kinds["PaperlessBilling"] is Kind.BOOLEAN
        assert telco.contract.columns["OnlineBackup"].levels == ("No", "No internet service", "Yes")
        assert not telco.contract.columns["TotalCharges"].required
        assert telco.contract.columns["MonthlyCharges"].required

    def test_meanings(self, telco):
        meanings = {n: c.meaning for n, c in telco.contract.columns.items() if c.meaning}
        assert meanings == {
            "gender": Meaning.GENDER,
            "tenure": Meaning.TENURE_MONTHS,
            "PhoneService": Meaning.PHONE_SERVICE,
            "InternetService": Meaning.INTERNET_SERVICE,
            "OnlineSecurity": Meaning.ADDON_SERVICE,
            "OnlineBackup": Meaning.ADDON_SERVICE,
            "DeviceProtection": Meaning.DEVICE_PROTECTION,
            "TechSupport": Meaning.ADDON_SERVICE,
            "StreamingTV": Meaning.STREAMING_SERVICE,
            "StreamingMovies": Meaning.STREAMING_SERVICE,
            "Contract": Meaning.CONTRACT_TERM,
            "PaperlessBilling": Meaning.PAPERLESS_BILLING,
            "PaymentMethod": Meaning.PAYMENT_METHOD,
            "MonthlyCharges": Meaning.MONTHLY_CHARGE,
            "TotalCharges": Meaning.TOTAL_CHARGE,
        }

    def test_economics_follow_the_monthly_charge(self, telco):
        economics = telco.contract.economics
        assert (economics.customer_value, economics.offer_cost) == (840, 70)
        assert "median" in telco.notes["economics", "customer_value"]

    def test_typed_and_pandas_tables_give_the_same_contract(self, telco, shared_data):
        path = shared_data / "telco_churn.csv"
        assert infer_contract(pl.read_csv(path), label="Churn").contract == telco.contract
        assert Contract.infer(pd.read_csv(path), label="Churn") == telco.contract

    def test_every_guess_has_its_reason(self, telco):
        for name, column in telco.contract.columns.items():
            assert telco.notes["columns", name, "kind"]
            assert (column.meaning is None) == (("columns", name, "meaning") not in telco.notes)


class TestExtendedTelco:
    def test_leaks_constants_and_repeats_are_left_out(self, shared_data):
        raw = read_table(shared_data / "telco_churn_extended.csv")
        inferred = infer_contract(raw.frame, label="Churn Value")
        reasons = {name: reason.split(":")[0] for name, reason in inferred.excluded.items()}
        assert reasons == {
            "Count": "constant",
            "Country": "constant",
            "State": "constant",
            "Lat Long": "redundant",
            "Churn Label": "leak",
            "Churn Score": "leak",
            "Churn Reason": "leak",
        }
        assert inferred.contract.columns["City"].levels is None
        assert inferred.contract.columns["Zip Code"].kind is Kind.CATEGORY
        assert "computed" in inferred.notes["columns", "CLTV"]

    def test_the_five_tables_joined(self, shared_data):
        folder = shared_data / "telco_churn_extended_tables"
        tables = [read_table(folder / f"{name}.csv").frame for name in ("demographics", "services", "status")]
        joined = (
            tables[0].join(tables[1], on="Customer ID").join(tables[2], on="Customer ID", suffix="_status")
        )
        inferred = infer_contract(joined, label="Churn Value")
        leaks = {name for name, reason in inferred.excluded.items() if reason.startswith("leak")}
        assert leaks == {
            "Satisfaction Score", "Customer Status", "Churn Label", "Churn Score", "Churn Category",
            "Churn Reason",
        }  # fmt: skip
        assert inferred.contract.id_column == "Customer ID"
        contract = inferred.contract
        assert meant(contract, Meaning.INTERNET_SERVICE) == ["Internet Type"]
        assert "None" in (contract.columns["Offer"].levels or ())
        assert meant(contract, Meaning.TENURE_MONTHS) == ["Tenure in Months"]

    def test_a_label_of_three_values(self, shared_data):
        raw = read_table(shared_data / "telco_churn_extended_tables" / "status.csv")
        churn = infer_contract(raw.frame, label="Customer Status").contract.churn
        assert (churn.positive, churn.negative) == ("Churned", None)


def test_a_table_without_id(shared_data):
    raw = read_table(shared_data / "hillstrom_email.csv")
    contract = infer_contract(raw.frame, label="conversion").contract
    assert contract.id_column is None
    assert contract.columns["history_segment"].levels[0] == "1) $0 - $100"


class TestLabels:
    @pytest.mark.parametrize(
        ("values", "positive", "negative"),
        [
            (["Yes", "No"], "Yes", "No"),
            (["no", "YES"], "YES", "no"),
            (["1", "0"], "1", "0"),
            (["1.0", "0.0"], "1", "0"),
            ([1, 0], "1", "0"),
            ([1.0, 0.0], "1", "0"),
            ([True, False], "true", "false"),
            ([" True.", " False."], "True.", "False."),
            (["Attrited Customer", "Existing Customer"], "Attrited Customer", "Existing Customer"),
            (["Churned", "Stayed", "Joined"], "Churned", None),
            (["Not churned", "Churned"], "Churned", "Not churned"),
            (["no churn", "churn"], "churn", "no churn"),
            (["Left", "Current"], "Left", "Current"),
            (["Inactive", "Active"], "Inactive", "Active"),
            (["-1", "1"], "1", "-1"),
            (["2", "1"], "2", "1"),
        ],
    )
    def test_the_value_that_means_left_is_found(self, values, positive, negative):
        frame = pl.DataFrame({"x": X, "status": (values * 30)[:30]})
        churn = infer_contract(frame, label="status").contract.churn
        assert (churn.positive, churn.negative) == (positive, negative)

    def test_a_label_that_asks_who_stayed_is_turned_round(self):
        frame = pl.DataFrame({"x": X, "Retained": [1, 0, 1] * 10})
        assert infer_contract(frame, label="Retained").contract.churn.positive == "0"

    def test_a_positive_asked_for_may_be_spelled_otherwise(self):
        frame = pl.DataFrame({"x": X, "left": ["Yes", "No", "yes "] * 10})
        inferred = infer_contract(frame, label="left", positive="NO")
        assert (inferred.contract.churn.positive, inferred.contract.churn.negative) == ("No", "Yes")

    @pytest.mark.parametrize(
        ("values", "error", "says"),
        [
            (["Yes"] * 30, LabelError, "one value only"),
            ([None] * 30, LabelError, "missing in every row"),
            ([" "] * 30, LabelError, "missing in every row"),
            (list(range(30)), LabelError, "30 distinct values"),
            (["red", "green", "blue"] * 10, UsageError, "--positive"),
            ([[1], [2]] * 15, LabelError, "not outcomes"),
        ],
    )
    def test_a_label_that_cannot_tell_is_a_clear_error(self, values, error, says):
        with pytest.raises(error, match=says):
            infer_contract(pl.DataFrame({"x": X, "y": values}), label="y")

    def test_rows_without_a_label_are_counted(self):
        frame = pl.DataFrame({"x": X, "y": ["Yes", "No", None] * 10})
        assert "10 rows" in infer_contract(frame, label="y").notes["churn", "label"]


def test_columns_that_are_not_there_name_the_nearest():
    with pytest.raises(UsageError, match='Did you mean "Churn"'):
        infer({}, label="churned")
    with pytest.raises(UsageError, match='Did you mean "base"'):
        infer({}, id_column="bas")
    with pytest.raises(UsageError, match="never is"):
        infer({}, positive="Yes please")
    with pytest.raises(UsageError, match="both the label and the id"):
        infer({}, id_column="Churn")


@pytest.mark.parametrize(
    ("values", "kind", "extra"),
    [
        (["Yes", "No", ""], Kind.BOOLEAN, {"true": "Yes", "required": False}),
        (["y", "N", "n/a"], Kind.BOOLEAN, {"required": False}),
        (["t", "f", "f"], Kind.BOOLEAN, {"true": "t", "false": "f"}),
        (["TRUE", "FALSE", "true"], Kind.BOOLEAN, {"true": "TRUE"}),
        (["1.0", "0.0", "0.0"], Kind.BOOLEAN, {}),
        ([1, 0, 0], Kind.BOOLEAN, {}),
        ([True, False, True], Kind.BOOLEAN, {}),
        (["active", "inactive", "active"], Kind.CATEGORY, {"levels": ("active", "inactive")}),
        (["Yes", "No", "Unknown"], Kind.CATEGORY, {"levels": ("No", "Unknown", "Yes")}),
        (["Yes", "No", "No internet"], Kind.CATEGORY, {}),
        (["DSL", "dsl ", "None"], Kind.CATEGORY, {"levels": ("DSL", "None")}),
        (["1", "2", "3"], Kind.INTEGER, {"min": 0, "max": 30}),
        ([" 1 ", "12", " "], Kind.INTEGER, {"required": False, "max": 200}),
        (["$1,200.50", "$30.25", "$7.00"], Kind.NUMBER, {"decimal": None, "max": 20_000}),
        (["1.200,50 €", "30,25 €", "7,00 €"], Kind.NUMBER, {"decimal": ","}),
        (["12.5%", "3.1%", "9.0%"], Kind.NUMBER, {}),
        (["100.00", "250.00", "75.00"], Kind.NUMBER, {}),
        (["-3", "4", "5"], Kind.INTEGER, {"min": -50, "max": 50}),
        ([1.0, 2.0, None], Kind.INTEGER, {"required": False}),
        ([1.0, 2.0, 4.0], Kind.NUMBER, {}),
        (["02134", "10001", "94103"], Kind.CATEGORY, {"levels": ("02134", "10001", "94103")}),
        (["2024-01-05", "2023-11-30", ""], Kind.DATE, {"day_first": None, "required": False}),
        (["25/12/2023", "01/02/2023", "03/04/2023"], Kind.DATE, {"day_first": True}),
        (["12/25/2023", "01/02/2023", "03/04/2023"], Kind.DATE, {"day_first": None}),
        (["03.04.2023", "01.02.2023", "05.06.2023"], Kind.DATE, {"day_first": True}),
        (["2024-01-05T10:00:00Z", "2023-11-30T23:59:59Z", "2024-01-05T10:00:00Z"], Kind.DATE, {}),
        (["20240105", "20231130", "20240106"], Kind.DATE, {}),
        (["Jan 5, 2024", "Feb 6, 2024", "Mar 7, 2024"], Kind.DATE, {}),
        (["10:30", "11:45", "23:59"], Kind.CATEGORY, {}),
    ],
)
def test_kinds_from_values(values, kind, extra):
    found = column((values * N)[:N])
    assert found.kind is kind
    assert {key: getattr(found, key) for key in extra} == extra


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(("ones", "kind"), [(40, Kind.INTEGER), (100, Kind.BOOLEAN)])
def test_rare_ones_may_be_a_count_whose_first_two_is_still_to_come(ones, kind, as_text):
    # Expected twos of a Poisson count: 40^2 / (2 * 2960) = 0.27; 100^2 / (2 * 2900) = 1.7.
    values = pl.Series([1] * ones + [0] * (N - ones)).shuffle(seed=1)
    found = column(values.cast(pl.String) if as_text else values, "boats")
    assert found.kind is kind
    if kind is Kind.INTEGER:
        assert (found.min, found.max) == (0, 10)


def test_one_column_with_a_decimal_comma_decides_for_those_that_leave_it_open():
    comma, open_ = ["1,5", "2,25", "0,75"] * (N // 3), ["1,234", "2,345", "3,456"] * (N // 3)
    alone = infer({"b": open_}).contract.columns["b"]
    assert (alone.kind, alone.decimal) == (Kind.INTEGER, None)
    frame = pl.DataFrame({"a": comma, "b": open_, "Churn": LEFT})
    beside = infer_contract(frame, label="Churn").contract.columns["b"]
    assert (beside.kind, beside.decimal) == (Kind.NUMBER, ",")


def test_one_column_with_the_day_first_decides_for_those_that_leave_it_open():
    sure, open_ = ["25/12/2023", "01/02/2023"] * (N // 2), ["03/04/2023", "05/06/2023"] * (N // 2)
    assert infer({"b": open_}).contract.columns["b"].day_first is None
    assert infer({"a": sure, "b": open_}).contract.columns["b"].day_first is True


def test_a_few_words_among_numbers_are_told_and_many_make_a_category():
    numbers = [str(place) for place in range(N)]
    few = infer({"x": ["oops"] * 5 + numbers[5:]})
    assert few.contract.columns["x"].kind is Kind.INTEGER
    assert "5 rows hold something else" in few.notes["columns", "x", "kind"]
    half = infer({"x": ["low", "high"] * (N // 4) + numbers[N // 2 :]})
    assert half.contract.columns["x"].kind is Kind.CATEGORY


class TestIdentifiers:
    def test_many_ids_and_one_that_is_the_customers(self):
        order = RNG.permutation(N)
        inferred = infer(
            {
                "": np.arange(N),
                "RowNumber": np.arange(1, N + 1),
                "CustomerId": 15_565_701 + 7 * order,
                "Surname": [f"Name{place % 900}" for place in order],
                "phone number": [f"{place // 10000 + 300}-{place % 10000:04d}" for place in order + 5000],
                "Email": [f"user{place}@example.com" for place in order],
                "area code": RNG.choice([408, 415, 510], N),
                "zip": RNG.choice([90210, 10001, 60601], N),
                "note": [f"called about bill number {place} and hung up" for place in order],
                "City": [f"City {place}" for place in RNG.integers(0, 1100, N)],
                "plan_id": RNG.choice([3, 5, 9], N),
            }
        )
        assert inferred.contract.id_column == "CustomerId"
        reasons = {name: reason.split(":")[0] for name, reason in inferred.excluded.items()}
        assert reasons == {
            "Unnamed: 1": "identifier",  # named by its place, which is second here
            "RowNumber": "identifier",
            "Surname": "identifier",
            "phone number": "identifier",
            "Email": "identifier",
            "note": "free text",
        }
        kinds = {
            name: inferred.contract.columns[name].kind for name in ("area code", "zip", "City", "plan_id")
        }
        assert set(kinds.values()) == {Kind.CATEGORY}
        assert inferred.contract.columns["City"].levels is None

    def test_a_named_id_wins_and_is_used(self):
        inferred = infer({"a_id": np.arange(N), "b": [f"k{place}" for place in range(N)]}, id_column="b")
        assert inferred.contract.id_column == "b"
        assert inferred.excluded.keys() == {"a_id"}

    @pytest.mark.parametrize(
        "name", ["customerID", "CLIENTNUM", "msno", "user_id", "Account #", "Kunden-Nr", "id"]
    )
    def test_ids_by_their_names(self, name):
        assert infer({name: [f"k{place}x" for place in range(N)]}).contract.id_column == name

    @pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
    def test_ids_that_come_as_numbers(self, dtype):
        found = infer({"customer_id": pl.Series(1_000_003 + 17 * np.arange(N)).cast(pl.Int64).cast(dtype)})
        assert found.contract.id_column == "customer_id"

    def test_numbers_too_long_for_amounts_are_names(self):
        long = pl.Series(10**17 + 12_345_678_901 * np.arange(N))
        assert excluded(long).startswith("identifier")
        assert infer({"x": long.cast(pl.String)}).contract.id_column == "x"

    def test_a_code_that_nobody_named_an_id_is_the_id_if_it_is_the_only_one(self):
        assert infer({"ref": [f"A-{place:05d}" for place in range(N)]}).contract.id_column == "ref"

    def test_unique_integers_are_kept_where_chance_allows(self):
        wide = RNG.choice(10**9, N, replace=False)
        assert excluded(wide, "income") == ""
        assert excluded(RNG.choice(100_000, N, replace=False), "x").startswith("identifier")

    def test_a_hundred_thousand_levels_stay_open(self):
        found = column([f"L{place}" for place in RNG.integers(0, 100_000, N) // 50], "shop")
        assert (found.kind, found.levels, found.exclude) == (Kind.CATEGORY, None, None)


class TestLeaks:
    def test_recoded_labels_scores_reasons_and_dates(self):
        left = LEFT == 1
        order = np.arange(N)
        inferred = infer(
            {
                "Label": np.where(left, "Gone", "Here"),
                "probability_1": np.where(left, 0.99, 0.01) + RNG.random(N) / 1000,
                "reason": np.where(left, RNG.choice(["price", "moved"], N), ""),
                "End Date": np.where(left, "2024-01-31", ""),
                "Churn Score": np.where(left, RNG.integers(30, 101, N), RNG.integers(5, 81, N)),
                "Cancellation Reason": RNG.choice(["a", "b"], N),
                "rating": np.where(
                    left, RNG.choice([1, 2, 3], N, p=[0.5, 0.3, 0.2]), RNG.choice([3, 4, 5], N)
                ),
                "only_for_leavers": pl.Series(order % 50).set(pl.Series(~left), None),
            }
        )
        assert {name for name, reason in inferred.excluded.items() if reason.startswith("leak")} == {
            "Label", "probability_1", "reason", "End Date", "Churn Score", "Cancellation Reason", "rating",
            "only_for_leavers",
        }  # fmt: skip
        assert "under another name" in infer({"other": 1 - LEFT}).excluded["other"]

    def test_a_two_sided_leak_is_found(self):
        inside = np.where(LEFT == 1, RNG.uniform(40, 60, N), RNG.choice([20.0, 80.0], N) + RNG.normal(size=N))
        assert excluded(inside).startswith("leak")

    @pytest.mark.parametrize("strength", [1.5, 2.5])
    def test_honest_strong_columns_stay(self, strength):
        # AUC about .86 and .96: as strong as honest columns get, and a little more
        strong = LEFT * strength + RNG.normal(size=N)
        assert excluded(strong) == ""

    def test_a_very_strong_column_is_remarked_on(self):
        inferred = infer({"x": LEFT * 2.2 + RNG.normal(size=N)})
        assert "very well" in inferred.notes["columns", "x"]

    def test_many_levels_are_no_leak_by_chance(self):
        assert excluded([f"L{place}" for place in RNG.integers(0, N // 2, N)]) == ""

    def test_a_strong_level_that_few_have_stays(self):
        assert excluded(np.where((LEFT == 1) & (RNG.random(N) < 0.2), "complained", "quiet")) == ""


class TestMissing:
    def test_mostly_empty_columns_go_unless_they_tell(self):
        noise = np.where(RNG.random(N) < 0.7, None, RNG.integers(0, 9, N).astype(str)).tolist()
        told = np.where(RNG.random(N) < np.where(LEFT == 1, 0.55, 0.85), None, "7").tolist()
        values = np.where(RNG.random(N) < 0.6, None, np.where(SCORE > 0, "high", "low")).tolist()
        inferred = infer({"noise": noise, "told": told, "values": values, "never": [None] * N})
        assert {name: reason.split(":")[0] for name, reason in inferred.excluded.items()} == {
            "noise": ">50 % empty",
            "never": "empty",
        }
        assert "its being empty" in inferred.notes["columns", "told"]
        assert "its values" in inferred.notes["columns", "values"]

    def test_words_for_missing_count_as_empty(self):
        values = np.where(RNG.random(N) < 0.7, "Unknown", RNG.integers(10, 99, N).astype(str)).tolist()
        assert excluded(values).startswith(">50 % empty")

    def test_half_full_is_enough(self):
        values = np.where(RNG.random(N) < 0.4, None, RNG.integers(0, 99, N).astype(str)).tolist()
        found = column(values)
        assert (found.exclude, found.required) == (None, False)


class TestRepeats:
    def test_columns_that_say_the_same(self):
        state = RNG.choice(["CA", "NY", "TX"], N)
        full = {"CA": "California", "NY": "New York", "TX": "Texas"}
        spend = np.round(RNG.gamma(2, 50, N), 2)
        site = RNG.integers(0, 500, N)
        lat, lon = RNG.uniform(30, 40, 500).round(6)[site], RNG.uniform(-120, -110, 500).round(6)[site]
        inferred = infer(
            {
                "state": state,
                "state name": [full[one] for one in state],
                "spend": spend,
                "spend copy": spend,
                "lat": lat,
                "lon": lon,
                "point": texts("{}, {}", lat, lon),
                "other": RNG.choice(["a", "b", "c"], N),
            }
        )
        assert inferred.excluded.keys() == {"state name", "spend copy", "point"}
        assert inferred.excluded["point"] == 'redundant: it repeats "lat" and "lon"'


@pytest.mark.parametrize(
    ("name", "values", "meaning"),
    [
        ("Tenure in Months", range(60), Meaning.TENURE_MONTHS),
        ("months_on_book", range(13, 57), Meaning.TENURE_MONTHS),
        ("MonthsInService", range(6, 60), Meaning.TENURE_MONTHS),
        ("Tenure", range(11), None),  # years, by the look of it
        ("tenure_days", range(600), None),
        ("AccountWeeks", range(240), None),
        ("monthly_fee", range(10, 90), Meaning.MONTHLY_CHARGE),
        ("Avg Monthly Long Distance Charges", range(10, 90), None),
        ("TotalCharges", range(10, 900), Meaning.TOTAL_CHARGE),
        ("Total day charge", range(10, 90), None),
        ("CustServ Calls", range(9), Meaning.SUPPORT_CALLS),
        ("Customer service calls", range(9), Meaning.SUPPORT_CALLS),
        ("DataUsage", range(20), Meaning.DATA_USAGE),
        ("Customer_Age", range(18, 80), Meaning.AGE),
        ("Age Group", range(5), None),
        ("account_age", range(18, 80), None),
        ("late_payments", range(5), Meaning.LATE_PAYMENTS),
        ("Billing Issues Count", range(5), Meaning.BILLING_ISSUES),
        ("PreferredPaymentMode", ["COD", "Card", "UPI"], Meaning.PAYMENT_METHOD),
        ("contract_type", ["monthly", "annual"], Meaning.CONTRACT_TERM),
        ("VMail Plan", ["yes", "no"], Meaning.ADDON_SERVICE),
        ("Int'l Plan", ["yes", "no"], Meaning.ADDON_SERVICE),
        ("PaperlessBilling", ["1", "0"], Meaning.PAPERLESS_BILLING),
        ("Streaming Music", ["yes", "no"], Meaning.STREAMING_SERVICE),
        ("sex", ["m", "f"], Meaning.GENDER),
        ("Geography", ["France", "Spain"], Meaning.LOCATION),
        ("registration_init_time", ["20150101", "20160202"], Meaning.SIGNUP_DATE),
        ("Join Date", ["2020-01-01", "2021-05-05"], Meaning.SIGNUP_DATE),
        ("contract end date", ["2020-01-01", "2021-05-05"], None),
    ],
)
def test_meanings_by_name_and_value(name, values, meaning):
    assert column((list(values) * N)[:N], name).meaning is meaning


def test_one_column_a_meaning_unless_it_may_repeat():
    numbers = RNG.integers(20, 90, N)
    inferred = infer({"monthly revenue": numbers, "Monthly Charges": numbers + RNG.integers(0, 3, N)})
    assert meant(inferred.contract, Meaning.MONTHLY_CHARGE) == ["monthly revenue"]


def test_infinite_values_do_not_stretch_the_range():
    values = RNG.normal(50, 5, N)
    values[:3] = [np.inf, -np.inf, np.nan]
    inferred = infer({"x": values})
    assert inferred.contract.columns["x"].max < 1000
    assert "2 rows are infinite" in inferred.notes["columns", "x", "kind"]


def test_one_absurd_value_neither_sets_the_range_nor_costs_the_meaning():
    values = RNG.normal(50, 5, N)
    values[0], values[1] = -9e99, 1e200
    inferred = infer({"MonthlyCharges": values})
    column = inferred.contract.columns["MonthlyCharges"]
    assert (column.min, column.meaning) == (0, Meaning.MONTHLY_CHARGE)
    assert column.max < 1000
    assert "2 rows far beyond all others" in inferred.notes["columns", "MonthlyCharges", "kind"]


def test_one_absurd_whole_number_does_not_turn_amounts_into_names():
    inferred = infer({"tenure": [str(10**20), *(str(place % 72) for place in range(N - 1))]})
    column = inferred.contract.columns["tenure"]
    assert (column.kind, column.max) == (Kind.INTEGER, 800)


def test_a_heavy_tail_is_believed():
    values = np.exp(RNG.normal(0, 3, N))
    assert infer({"x": values}).contract.columns["x"].max > values.max()


def test_tables_that_cannot_be_used_are_clear_errors():
    with pytest.raises(DataError, match="no rows"):
        infer_contract(pl.DataFrame({"x": [], "y": []}), label="y")
    with pytest.raises(DataError, match="more than once"):
        infer_contract(pl.DataFrame({"x": [1], "x ": [2], "y": [0]}), label="y")
    with pytest.raises(DataError, match="2,001 columns"):
        infer_contract(pl.DataFrame({f"c{place}": [1, 2] for place in range(2001)}), label="c0")
    with pytest.raises(DataError, match="Nothing is left"):
        infer_contract(pl.DataFrame({"same": [1] * 30, "y": [0, 1] * 15}), label="y")
    with pytest.raises(UsageError, match="table is needed"):
        infer_contract([1, 2], label="y")
    with pytest.raises(DataError, match="more than once"):
        infer_contract(pd.DataFrame([[1, 2, 0]], columns=["a", "a", "y"]), label="y")


def test_pandas_tables_of_all_sorts():
    frame = pd.DataFrame(
        {
            0: [1, "two", None] * 20,
            "kind": pd.Categorical(["a", "b", "c"] * 20),
            "when": pd.to_datetime(["2024-01-01", "2024-02-01", None] * 20),
            "flag": pd.array([True, False, None] * 20, dtype="boolean"),
            "count": [1.0, 2.0, np.nan] * 20,
            "y": [1, 0, 0, 1] * 15,
        }
    )
    contract = infer_contract(frame, label="y").contract
    kinds = {name: column.kind for name, column in contract.columns.items()}
    assert kinds == {
        "0": Kind.CATEGORY, "kind": Kind.CATEGORY, "when": Kind.DATE, "flag": Kind.BOOLEAN,
        "count": Kind.INTEGER,
    }  # fmt: skip


def test_values_no_kind_can_hold_are_left_out():
    inferred = infer({"tags": [["a"]] * N, "when": pl.Series([1] * N).cast(pl.Duration("us"))})
    assert all("not read" in reason for reason in inferred.excluded.values())
    assert len(inferred.excluded) == 2


def test_the_same_table_gives_the_same_file():
    one, other = (infer({"x": [f"L{place}" for place in SCORE.round(1)]}) for _ in range(2))
    assert render(one.contract, one.notes) == render(other.contract, other.notes)


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "1", "0", "Yes", "no", "1,5", "2.5", "2024-01-02", "NaN", "x", "1e999"]),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=5), st.integers(-5, 5).map(str),
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 40).flatmap(
        lambda height: st.lists(st.lists(CELLS, min_size=height, max_size=height), min_size=2, max_size=4)
    )
)
def test_any_text_gives_a_contract_or_a_clear_error(columns):
    frame = pl.DataFrame(
        {f"c{place}": pl.Series(cells, dtype=pl.String) for place, cells in enumerate(columns)}
    )
    try:
        inferred = infer_contract(frame, label="c0")
    except HoldfastError:
        return
    assert list(inferred.contract.columns) == frame.columns[1:]
    assert parse_contract(inferred.contract.canonical()) == inferred.contract
