"""Records that are read a column at a time come out as the request model makes them, one by one."""

from __future__ import annotations

import json
import math
import struct

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from holdfast.api.forms import NotJsonError, parsed
from holdfast.api.intake import Intake
from holdfast.contract import Contract

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["Yes", "No", "yes", "true", "1", "0", "", " ", "NA", "3.0", "-", "2024-02-30"]),
    st.text(max_size=5),
    st.integers(999, 1_002).map("x".__mul__),
    st.lists(st.integers(), max_size=2),
)
PLAIN = {
    "Customer No.": st.text("ABC-0123", max_size=6) | st.none(),
    "Monthly Charges": st.floats(-1e6, 1e6) | st.integers(-100, 100) | st.none(),
    "tenure": st.integers(-100, 100) | st.none(),
    "Senior?": st.booleans() | st.sampled_from(["Yes", "No"]) | st.none(),
    "Plan": st.text(max_size=4) | st.none(),
    "City": st.text(max_size=4) | st.none(),
    "Joined": st.dates().map(str) | st.none(),
    "Balance": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
}
records = st.fixed_dictionaries(PLAIN)
odd = st.tuples(records, st.sampled_from(list(PLAIN)), ODD).map(lambda r: r[0] | {r[1]: r[2]})


class OneByOne(Intake):
    def _plainly(self, records):  # noqa: ARG002 - the other way is closed
        return None


def same(one, other):
    assert_frame_equal(one.table, other.table, check_exact=True)
    assert one.indexes == other.indexes
    assert one.ids == other.ids
    assert one.rejects == other.rejects
    assert one.ignored == other.ignored
    assert one.records == other.records
    assert [tuple(map(form, row)) for row in one.inputs] == [tuple(map(form, row)) for row in other.inputs]


def form(value):
    """A value with its type, so that 1 is neither 1.0 nor true."""
    return struct.pack(">d", value) if isinstance(value, float) else (type(value), value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Senior?": {"kind": "boolean", "true": "1", "false": "0"}},
        {"Senior?": {"kind": "boolean", "true": "0", "false": "1"}},
        {"Senior?": {"kind": "boolean"}},
        {"Customer No.": {"kind": "id", "required": False}},
    ],
    ids=str,
)
@settings(max_examples=120)
@given(rows=st.lists(records | odd, min_size=1, max_size=4))
@example(rows=[dict.fromkeys(PLAIN)])
@example(rows=[dict.fromkeys(PLAIN) | {"Balance": 2**1023, "tenure": 2**63}])
@example(rows=[dict.fromkeys(PLAIN) | {"Senior?": 1.0, "Monthly Charges": 1e308}])
@example(rows=[dict.fromkeys(PLAIN) | {"Senior?": 1}, dict.fromkeys(PLAIN) | {"Senior?": "0"}])
def test_a_column_at_a_time_is_as_one_by_one(make_contract, columns, changes, rows):
    contract = make_contract(columns | changes)
    same(Intake(contract).take(rows), OneByOne(contract).take(rows))


def test_plain_records_take_the_quick_way(make_contract, good):
    intake = Intake(make_contract())
    full = good | {"Balance": None}
    assert intake._plainly([full, full | {"tenure": None}]) is not None
    assert intake._plainly([full, good]) is None  # an optional field is left out
    assert intake._plainly([full | {"tenure": "3"}]) is None


@pytest.mark.parametrize("reader", [Intake, OneByOne])
@pytest.mark.parametrize("name", ["Customer No.", "Plan", "City", "Joined"])
def test_text_that_a_database_may_not_take_is_a_reject_of_its_record_alone(make_contract, good, reader, name):
    full = good | {"Balance": None}
    taken = reader(make_contract()).take([full, full | {name: "a\0b"}])
    assert taken.indexes == [0]
    assert [(one.index, one.column) for one in taken.rejects] == [(1, name)]
    assert "NUL" in taken.rejects[0].reason


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00a", "\ud800"])
def test_half_a_character_is_no_json(text):
    with pytest.raises(NotJsonError):
        parsed(f'{{"a": "{text}"}}'.encode(errors="surrogatepass"))


def test_what_is_said_of_a_request_s_rejects_does_not_depend_on_its_neighbours(make_contract, good):
    intake = Intake(make_contract())
    many = [good | {f"unknown {n}": 1 for n in range(12)} for _ in range(250)]
    wrong = good | {"tenur": 3}
    alone = intake.take([wrong]).rejects
    beside = [one for one in intake.take([*many, wrong], starts=[250]).rejects if one.index == 250]
    assert [(r.column, r.reason) for r in beside] == [(r.column, r.reason) for r in alone]
    assert "tenure" in alone[0].reason


@given(body=st.binary(max_size=30) | st.from_regex(rb'\{"a": ?(-?[0-9.eE+-]{1,12}|NaN|Infinity|"[^"\\]*")\}'))
def test_the_quick_parser_takes_nothing_that_json_is_not(body):
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    said = json.loads(body)
    if isinstance(found, dict) and isinstance(found.get("a"), float):
        assert math.isfinite(found["a"]) or math.isinf(float(said["a"]))
        assert found["a"] == float(said["a"])
    else:
        assert found == said


def test_a_contract_of_one_column_is_taken_too(make_contract):
    contract = make_contract({"tenure": {"kind": "integer", "min": 0, "max": 9}})
    assert isinstance(contract, Contract)
    taken = Intake(contract).take([{"tenure": 3, "customer_id": "C-1"}])
    assert (taken.inputs, taken.ids) == ([(3,)], ["C-1"])
