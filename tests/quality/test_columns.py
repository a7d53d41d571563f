from __future__ import annotations

import pytest

from holdfast.quality.columns import ColumnsError, match_columns

NAMES = ["id", "charge", "tenure", "senior", "joined", "plan"]


def test_names_match_exactly_or_without_blanks_in_any_order(contract):
    found = match_columns(contract, [" plan", *reversed(NAMES[:-1]), "note", "extra"], with_label=False)
    assert found.sources == {**{name: name for name in NAMES}, "plan": " plan"}
    assert found.absent == ("partner", "city")
    assert found.ignored == ("extra",)


def test_an_exact_name_wins_and_two_that_differ_in_blanks_are_refused(contract):
    assert match_columns(contract, [*NAMES, "plan "], with_label=False).sources["plan"] == "plan"
    with pytest.raises(ColumnsError, match="2 columns of the table are called"):
        match_columns(contract, [*NAMES[:-1], " plan", "plan "], with_label=False)


def test_the_difference_is_spelt_out(contract):
    with pytest.raises(ColumnsError) as caught:
        match_columns(
            contract, ["ID", "charge", "Tenure", "senior", "joined", "plan", "colour"], with_label=True
        )
    error = caught.value
    assert error.code == "columns"
    assert error.exit_code == 3
    assert error.missing == ("tenure", "id", "Churn")
    assert error.unexpected == ("ID", "Tenure", "colour")
    assert '- "tenure"  (the table has "Tenure")' in error.message
    assert '- "Churn"\n' in error.message
    assert '+ "colour"' in error.message


def test_a_thousand_strangers_are_counted_not_listed(contract):
    with pytest.raises(ColumnsError) as caught:
        match_columns(contract, [f"c{i}" for i in range(1000)], with_label=False)
    assert "and 980 more" in caught.value.message
    assert len(caught.value.message.splitlines()) < 60
