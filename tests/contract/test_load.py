"""A wrong contract says what is wrong, where, and what was probably meant."""

from __future__ import annotations

import pytest

from holdfast.contract import Contract, Kind, Meaning
from holdfast.contract.load import load_contract, parse_contract
from holdfast.errors import ContractError

GOOD = """\
version = 1
name = "customers"
data = "customers.csv"

[churn]
label = "Churn"
positive = "Yes"
negative = "No"

[economics]
customer_value = 200
contact_cost = 1.5
offer_cost = 10
success_rate = 0.3

[columns.customerID]
kind = "id"

[columns."Monthly Charges"]
kind = "number"
meaning = "monthly_charge"
min = 0
max = 1200

[columns.Contract]
kind = "category"
levels = ["Month-to-month", "One year"]

[features]
double = '"Monthly Charges" * 2'
"""


@pytest.fixture
def load(tmp_path):
    def run(text):
        path = tmp_path / "churn.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_contract(path)

    return run


def test_a_good_contract_loads(load):
    contract = load(GOOD)
    assert contract.id_column == "customerID"
    assert list(contract.inputs) == ["Monthly Charges", "Contract"]
    assert contract.columns["Monthly Charges"].meaning is Meaning.MONTHLY_CHARGE
    assert contract.columns["Contract"].kind is Kind.CATEGORY
    assert contract.features == {"double": '"Monthly Charges" * 2'}
    assert parse_contract(contract.canonical()) == contract


def test_a_byte_order_mark_does_not_matter(load):
    assert load(b"\xef\xbb\xbf" + GOOD.encode()) == load(GOOD)


def test_the_class_loads_too(tmp_path):
    (tmp_path / "churn.toml").write_text(GOOD)
    assert Contract.load(tmp_path / "churn.toml").name == "customers"


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("positive =", "positve =", 7, 'churn.positve: there is no such key. Did you mean "positive"?'),
        ('kind = "number"', 'kind = "nmber"', 20, 'Did you mean "number"'),
        ('"monthly_charge"', '"monthly_fee"', 21, "monthly_charge"),
        ("min = 0", "min = 5000", 19, "min (5000) is above max (1200)"),
        ("min = 0", 'min = "0"', 22, "must be a number, without quotes (found '0')"),
        ("min = 0", "min = true", 22, "must be a number"),
        ("max = 1200", "max = inf", 23, "finite"),
        ("max = 1200", "maximum = 1200", 23, 'Did you mean "max"'),
        ("max = 1200", "required = 1", 23, "true or false"),
        ('levels = ["Month-to-month", "One year"]', 'levels = "One year"', 27, "must be a list"),
        ('levels = ["Month-to-month", "One year"]', "levels = [1, 2]", 27, "must be text"),
        ('levels = ["Month-to-month", "One year"]', 'levels = ["a", "a"]', 25, 'level "a" is listed twice'),
        ('levels = ["Month-to-month", "One year"]', "min = 1", 25, "min and max belong to numbers"),
        ("success_rate = 0.3", "success_rate = 3", 14, "less than or equal to 1"),
        ("offer_cost = 10", "offer_cost = -1", 13, "greater than or equal to 0"),
        ("[columns.Contract]", "[columns.Churn]", 25, 'the label "Churn" is also listed under [columns]'),
        (
            "[columns.Contract]\nkind",
            "[columns.Contract]\nday_first = true\nkind",
            25,
            "day_first belongs to dates",
        ),
        ("double =", "Contract =", 30, 'feature "Contract" has the name of a column'),
        (
            'negative = "No"',
            'negative = "Yes"',
            8,
            'churn.negative: "Yes" is read the same as positive ("Yes")',
        ),
        ('negative = "No"', 'negative = " yes."', 8, 'churn.negative: " yes." is read the same as positive'),
        (
            '[columns.Contract]\nkind = "category"\nlevels = ["Month-to-month", "One year"]',
            '[columns.Contract]\nkind = "id"',
            25,
            'columns.Contract: two id columns, "customerID" and "Contract"',
        ),
        (
            'kind = "category"\nlevels = ["Month-to-month", "One year"]',
            'kind = "number"\nmeaning = "monthly_charge"',
            27,
            'columns.Contract.meaning: meaning "monthly_charge" is given to more than one column',
        ),
        ("version = 1", "version = 2", 1, "version 2 of the contract is not known"),
        ("[features]", "[featurs]", 29, 'Did you mean "features"?'),
        ('name = "customers"', 'name = ""', 2, "must not be empty"),
        ('name = "customers"', 'name = "../x"', 2, "must begin with a letter or digit"),
    ],
)
def test_a_mistake_names_line_and_key(load, before, after, line, says):
    assert before in GOOD
    with pytest.raises(ContractError) as caught:
        load(GOOD.replace(before, after, 1))
    shown = str(caught.value)
    assert says in shown
    assert "churn.toml" in shown
    if line is not None:
        assert f"line {line}" in shown
    assert caught.value.exit_code == 3
    assert caught.value.code == "contract"


def test_all_mistakes_are_told_at_once(load):
    with pytest.raises(ContractError) as caught:
        load(GOOD.replace("positive =", "positve =").replace('"number"', '"nmber"').replace("0.3", '"a"'))
    assert "4 mistakes" in caught.value.message
    assert all(f"line {line}:" in caught.value.message for line in (5, 7, 14, 20))


@pytest.mark.parametrize(
    ("text", "says", "where"),
    [
        ("version = \n", "not valid TOML", "line 1"),
        ('name = "a\n', "not valid TOML", "line 1"),
        ("[columns.Monthly Charges]\n", "not valid TOML", "line 1"),
        ("a = 1\na = 2\n", "not valid TOML", "line 2"),
        ("[churn]\n[churn]\n", "not valid TOML", "line 2"),
        (b"name = '\xff'", "not UTF-8", "byte 8"),
        ("a = " + "[" * 5000, "The", "churn.toml"),
        ("", "mistakes", "churn.toml"),
    ],
)
def test_broken_toml_is_told_where(load, text, says, where):
    with pytest.raises(ContractError) as caught:
        load(text)
    assert says in str(caught.value)
    assert where in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ContractError, match="holdfast init"):
        load_contract(tmp_path / "churn.toml")
    with pytest.raises(ContractError, match="no file"):
        load_contract(tmp_path)


def test_inline_tables_and_odd_names_are_found(load):
    text = GOOD.replace(
        "[columns.Contract]", '[columns."a.b \\"c\\" [d] # e"]\nkind = "nope"\n[columns.Contract]'
    )
    with pytest.raises(ContractError) as caught:
        load(text)
    assert "line 26" in str(caught.value)
