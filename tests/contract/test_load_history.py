"""A wrong contract of a history says what is wrong, where, and what was probably meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.contract.history import ChurnEvent, Clock, History, HistoryChurn, Table, TableKind
from holdfast.contract.load import NoContractError, is_history, load_contract, load_history, parse_history
from holdfast.errors import ContractError

GOOD = """\
version = 1
name = "shop"
generated = true

[clock]
time_zone = "Europe/Berlin"
snapshots = "weekly"
first = 2024-01-01
windows = [7, 30]

[churn]
event = "cancellation"
table = "calls"
where.topic = ["cancel"]
horizon_days = 30

[economics]
customer_value = 200
contact_cost = 1.5
offer_cost = 10
success_rate = 0.3

[tables.people]
kind = "customers"
source = "people.csv"
customer = "id"
begin = "joined"

[tables.people.columns.city]
kind = "category"

[tables.calls]
kind = "events"
source = "calls"
customer = "person"
time = "at"
known = "noted"
failures.topic = ["complaint"]

[tables.calls.columns.topic]
kind = "category"
levels = ["cancel", "complaint", "praise"]

[features]
calls_at_night = "features/night.sql"
"""
QUERY = "SELECT 1\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "night.sql").write_text(QUERY)
    return tmp_path


@pytest.fixture
def load(folder):
    def run(text):
        (folder / "churn.toml").write_text(text)
        return load_history(folder / "churn.toml")

    return run


def test_a_good_history_loads_with_the_text_of_its_features(load):
    history = load(GOOD)
    assert history.churn.event is ChurnEvent.CANCELLATION
    assert history.churn.where == {"topic": ("cancel",)}
    assert history.tables["calls"].kind is TableKind.EVENTS
    assert history.customers == "people"
    assert str(history.clock.first) == "2024-01-01"
    assert history.features == {"calls_at_night": QUERY}


def test_what_a_clock_does_not_say_is_what_the_page_says(load):
    clock = load(re.sub(r"\[clock\](.|\n)*?\n\n", "", GOOD)).clock
    assert (clock.time_zone, clock.snapshots, clock.windows) == ("UTC", "monthly", (7, 30, 90, 180, 365))
    assert (clock.first, clock.last, clock.until) == (None, None, None)


def test_the_class_loads_too(folder, load):
    assert load(GOOD) == History.load(folder / "churn.toml")


def test_what_is_loaded_goes_through_plain_json_types_and_back(load):
    history = load(GOOD)
    again = parse_history(history.canonical())
    assert again == history
    assert again.digest() == history.digest()


def test_doors_can_tell_the_two_kinds_of_contract_apart(folder, load):
    load(GOOD)
    one = folder / "one.toml"
    one.write_text(GOOD.partition("[tables.people]")[0])
    assert is_history(folder / "churn.toml")
    assert not is_history(one)
    with pytest.raises(ContractError, match="describes a history"):
        load_contract(folder / "churn.toml")
    with pytest.raises(ContractError, match="one table of customers"):
        load_history(one)
    with pytest.raises(NoContractError, match="--tables"):
        is_history(folder / "nowhere.toml")


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("generated = true", "generatd = true", 3, 'Did you mean "generated"?'),
        ("horizon_days", "horizon", 15, 'horizon: there is no such key. Did you mean "horizon_days"?'),
        ("windows = [7, 30]", "window = [7]", 9, 'Did you mean "windows"?'),
        ("known =", "knwon =", 37, 'Did you mean "known"?'),
        ('kind = "events"', 'kind = "event"', 33, '"event" is no kind'),
        ('kind = "events"', 'kind = "event"', 33, 'Did you mean "events"'),
        ('event = "cancellation"', 'event = "cancel"', 12, 'Did you mean "cancellation"'),
        ('[tables.calls.columns.topic]\nkind = "category"', '[tables.calls.columns.topic]\nkind = "categry"',
         41, 'Did you mean "category"'),
        ('"Europe/Berlin"', '"Mars"', 6, '"Mars" is no time zone'),
        ('"weekly"', '"dayly"', 7, 'clock.snapshots: must be "monthly" or "weekly", or a list'),
        ('"weekly"', '["2024-13-01"]', 7, 'clock.snapshots: must be "monthly" or "weekly", or a list'),
        ("2024-01-01", '"soon"', 8, "clock.first: must be a date, such as 2024-01-31 (found 'soon')"),
        ("[7, 30]", "[30, 7]", 9, "clock.windows: windows must be in order"),
        ("[7, 30]", "[]", 9, "at least 1 item"),
        ('"weekly"', "[]", 7, 'clock.snapshots: must be "monthly" or "weekly", or a list'),
        ('where.topic = ["cancel"]', "where.topic = []", 14, "tuple should have at"),
        ('["complaint"]', "[]", 38, "tables.calls.failures.topic: tuple should have at least 1 item"),
        ("horizon_days", "cause = 'topic'\ncauses = []\nhorizon_days", 16, "tuple should"),
        ("horizon_days = 30", "horizon_days = 0", 15, "greater than or equal to 1"),
        ("horizon_days = 30", "horizon_days = true", 15, "must be a whole number"),
        ('table = "calls"', 'table = "people"', 13, "churn.table: cancellation is seen in events"),
        ('table = "calls"', 'table = "cals"', 13, 'churn.table: there is no table "cals"'),
        ("where.topic", "where.tpic", 11, 'table "calls" has no column "tpic"'),
        ('where.topic = ["cancel"]', "above.topic = 0", 14, 'takes numbers, and "topic" is of kind category'),
        ('begin = "joined"', 'time = "joined"', 27, "tables.people.time: time belongs to events"),
        ('topic = ["cancel"]', 'topic = ["Cancel.", "cancels"]', 14,
         'churn.where.topic: "cancels" is no level of "topic". Did you mean "cancel"?'),
        ('failures.topic = ["complaint"]', 'failures.topic = ["zzz"]', 38,
         'tables.calls.failures.topic: "zzz" is no level of "topic". Known: "cancel", "complaint", "praise"'),
        ("horizon_days = 30", 'cause = "topic"\ncauses = ["Praises"]\nhorizon_days = 30', 16,
         'churn.causes: "Praises" is no level of "topic". Did you mean "praise"?'),
        ('begin = "joined"', 'ongoing = ["No"]', 27, "tables.people.ongoing: ongoing belongs to end"),
        ('time = "at"\n', "", 32, "tables.calls.time: an events table needs time"),
        ("[tables.people.columns.city]", "[tables.people.columns.id]", 29, "is a key or a time of the table"),
        ("calls_at_night", "Calls", 45, "features.Calls: must begin with a small letter"),
        ('"features/night.sql"', '"features/nigth.sql"', 45, '"features/nigth.sql" cannot be read: No such'),
        ('"features/night.sql"', '"../night.sql"', 45, "is outside the contract's folder"),
        ('"features/night.sql"', '"/etc/night.sql"', 45, "is outside the contract's folder"),
        ('"features/night.sql"', '"SELECT 1"', 45, "must be the name of a .sql file"),
        ('"features/night.sql"', "1", 45, "features.calls_at_night: must be text"),
    ],
)  # fmt: skip
def test_a_mistake_names_line_and_key(load, before, after, line, says):
    assert before in GOOD
    with pytest.raises(ContractError) as caught:
        load(GOOD.replace(before, after, 1))
    shown = str(caught.value)
    assert says in shown
    assert f"line {line}" in shown


@pytest.mark.parametrize("key", ['where.due = ["2024-01-01"]', 'cause = "due"\ncauses = ["2024-01-01"]'])
def test_dates_are_no_levels(load, key):
    text = GOOD.replace('where.topic = ["cancel"]', key) + "[tables.calls.columns.due]\nkind = 'date'\n"
    with pytest.raises(ContractError, match='takes levels, and "due" is a date'):
        load(text)


def test_all_mistakes_are_told_at_once_those_of_features_among_them(load):
    with pytest.raises(ContractError) as caught:
        load(
            GOOD.replace("generated", "generatd")
            .replace("horizon_days", "horizon")
            .replace("night.sql", "n.sql")
        )
    assert "4 mistakes" in caught.value.message  # the horizon is unknown and missing
    assert all(f"line {line}:" in caught.value.message for line in (3, 11, 15, 45))


def test_a_second_table_of_customers_has_no_times(load):
    more = '[tables.more]\nkind = "customers"\nsource = "more.csv"\ncustomer = "id"\n'
    assert load(GOOD.replace("[features]", more + "[features]")).customers == "people"
    with pytest.raises(ContractError, match='belong to the first table of customers, "people"'):
        load(GOOD.replace("[features]", more + 'begin = "since"\n[features]'))


def test_the_documentation_has_every_key_and_an_example_that_loads(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    example = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[-1]
    (tmp_path / "churn.toml").write_text(example)
    assert load_history(tmp_path / "churn.toml").name == "gym"
    said = set(re.findall(r"`([a-z_]+)(?: =[^`]*)?`", page))
    for model in (History, Clock, HistoryChurn, Table):
        assert model.model_fields.keys() - said <= {"clock", "tables", "features", "churn", "economics"}


def test_a_link_that_leads_out_of_the_folder_is_not_followed(folder, load, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.sql"
    secret.write_text("SELECT 2")
    (folder / "features" / "link.sql").symlink_to(secret)
    with pytest.raises(ContractError, match="outside the contract's folder"):
        load(GOOD.replace("night.sql", "link.sql"))


@pytest.mark.parametrize(("content", "says"), [(b"\xff", "not UTF-8"), (b"-" * 300_000, "too long")])
def test_a_feature_that_is_no_text_is_refused(folder, load, content, says):
    (folder / "features" / "night.sql").write_bytes(content)
    with pytest.raises(ContractError, match=says):
        load(GOOD)
