"""What is written reads back equal, whatever the names and values, and reads well."""

from __future__ import annotations

import os
import tomllib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contract import Churn, Column, Contract, Economics, Kind, toml
from holdfast.contract.infer import Inferred, infer_contract
from holdfast.contract.load import load_contract, parse_contract
from holdfast.contract.parse import key_of
from holdfast.contract.write import render, write_contract
from holdfast.errors import UsageError
from holdfast.features import FeatureProgram

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ABOVE = st.floats(min_value=1e-300, max_value=1e300, allow_nan=False)


def with_kind(**settings):
    return st.builds(Column, required=st.booleans(), exclude=st.none() | TEXT, **settings)


def ranged(low, high):
    return {"min": min(low, high), "max": max(low, high)}


COLUMN = st.one_of(
    st.builds(
        lambda kind, span, decimal: Column(kind=kind, decimal=decimal, **span),
        st.sampled_from([Kind.NUMBER, Kind.INTEGER]),
        st.builds(ranged, FINITE, FINITE) | st.just({}),
        st.sampled_from([None, ".", ","]),
    ),
    with_kind(kind=st.just(Kind.BOOLEAN), true=st.none() | TEXT, false=st.none() | TEXT),
    with_kind(
        kind=st.just(Kind.CATEGORY),
        levels=st.none() | st.lists(TEXT, unique=True, min_size=1, max_size=30).map(tuple),
    ),
    with_kind(kind=st.just(Kind.DATE), day_first=st.sampled_from([None, True, False])),
    with_kind(kind=st.just(Kind.TEXT)),
)


@st.composite
def contracts(draw):
    columns = draw(st.dictionaries(TEXT, COLUMN, max_size=6))
    columns["spend"] = Column(kind=Kind.NUMBER)
    label = draw(TEXT.filter(lambda name: name not in columns))
    features = draw(st.dictionaries(TEXT.filter(lambda n: n not in columns and n != label), TEXT, max_size=3))
    positive = draw(TEXT)
    other = TEXT.filter(lambda value: key_of(value) != key_of(positive))
    return Contract(
        name=draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}\Z")),
        data=draw(st.none() | TEXT),
        churn=Churn(label=label, positive=positive, negative=draw(st.none() | other)),
        economics=Economics(
            customer_value=draw(ABOVE), contact_cost=draw(ABOVE), offer_cost=draw(ABOVE), success_rate=0.3,
            capacity=draw(st.none() | st.floats(0.01, 1)),
        ),
        columns=columns,
        features=features,
    )  # fmt: skip


def notes_for(contract, words):
    paths = [("churn", "label"), ("churn", "positive"), ("economics", "offer_cost"), ("name",), ("churn",)]
    paths += [path for name in contract.columns for path in (("columns", name), ("columns", name, "kind"))]
    return dict.fromkeys(paths, words)


@settings(deadline=None, max_examples=300)
@given(contract=contracts(), words=TEXT)
def test_a_rendered_contract_loads_back_equal(tmp_path_factory, contract, words):
    path = tmp_path_factory.mktemp("toml") / "churn.toml"
    path.write_text(render(contract, notes_for(contract, words)), encoding="utf-8", newline="")
    loaded = load_contract(path)
    assert loaded == contract
    assert list(loaded.columns) == list(contract.columns)
    assert loaded.digest() == contract.digest()


@given(TEXT)
def test_strings_and_keys_are_toml(text):
    assert tomllib.loads(f"{toml.key(text)} = {toml.string(text)}") == {text: text}


@given(FINITE)
def test_numbers_are_toml(number):
    assert float(tomllib.loads(f"x = {toml.number(number)}")["x"]) == number


def test_other_values_are_refused():
    with pytest.raises(TypeError, match="dict"):
        toml.value({})


@pytest.fixture
def inferred():
    frame = pl.DataFrame(
        {
            "id": [f"c{place}" for place in range(60)],
            "Monthly Charges": [f"{20 + place}.5" for place in range(60)],
            "Plan": ["gold", "silver", 'it\'s "odd"'] * 20,
            "left": ["Yes", "No", "No", "No"] * 15,
        }
    )
    return infer_contract(frame, label="left")


def test_each_guess_stands_beside_its_key(inferred):
    text = render(inferred.contract, inferred.notes)
    assert 'kind = "number"  # numbers, 20.5 to 79.5' in text
    assert '[columns."Monthly Charges"]' in text
    assert 'positive = "Yes"  # 15 of 60 customers left (25.0%)' in text
    assert max(len(line) for line in text.splitlines()) < 160


def test_the_example_of_a_feature_is_of_the_tables_own_columns():
    draw = range(100)
    table = pl.DataFrame(
        {
            'A "b"': [at / 7 for at in draw],
            "c": [at * at / 3 for at in draw],
            "left": ["yes" if at % 3 else "no" for at in draw],
        }
    )
    text = render(infer_contract(table, label="left").contract)
    (line,) = [line for line in text.splitlines() if line.startswith("# ratio = ")]
    used = parse_contract(tomllib.loads(text.replace(line, line.removeprefix("# "))))
    FeatureProgram(used).frame(pl.DataFrame({'A "b"': [1.0], "c": [2.0]}))
    assert used.features == {"ratio": '"A ""b""" / "c"'}


def test_a_written_contract_knows_where_its_data_are(inferred, tmp_path):
    path = tmp_path / "contracts" / "churn.toml"
    write_contract(inferred, path, tmp_path / "data" / "customers.csv")
    loaded = load_contract(path)
    assert loaded.data == "../data/customers.csv"
    assert loaded.columns == inferred.contract.columns
    assert [entry.name for entry in path.parent.iterdir()] == ["churn.toml"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))


def test_somebodys_corrections_are_not_overwritten_unasked(inferred, tmp_path):
    path = tmp_path / "churn.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        write_contract(inferred, path, overwrite=False)
    assert path.read_text() == "mine"
    write_contract(inferred, path)
    assert load_contract(path) == inferred.contract


def test_a_folder_that_cannot_be_written_is_a_clear_error_and_leaves_nothing(inferred, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_contract(inferred, tmp_path / "file" / "churn.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_contract(inferred, tmp_path / "folder.toml")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.toml"]


def test_long_lists_are_folded():
    levels = tuple(f"level number {place}" for place in range(30))
    contract = Contract(
        name="x",
        churn=Churn(label="y", positive="1"),
        economics=Economics(customer_value=1, contact_cost=1, offer_cost=1, success_rate=1),
        columns={"c": Column(kind=Kind.CATEGORY, levels=levels)},
    )
    text = render(contract, Inferred(contract).notes)
    assert max(len(line) for line in text.splitlines()) <= 110
    assert tuple(tomllib.loads(text)["columns"]["c"]["levels"]) == levels
