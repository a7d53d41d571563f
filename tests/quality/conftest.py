"""One small contract with every kind of column, and the real telco table's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from holdfast.contract import Contract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"kind": "id"},
    "charge": {"kind": "number", "min": 0, "max": 1200},
    "tenure": {"kind": "integer", "min": 0, "max": 1000},
    "senior": {"kind": "boolean", "true": "1", "false": "0"},
    "partner": {"kind": "boolean", "true": "Yes", "false": "No", "required": False},
    "joined": {"kind": "date"},
    "plan": {"kind": "category", "levels": ["Basic", "Plus", "1"]},
    "city": {"kind": "category", "required": False},
    "note": {"kind": "text"},
    "reason": {"kind": "category", "exclude": "leak: filled for those who left only"},
}


def build_contract(**changes: Any) -> Contract:
    """A contract with `COLUMNS`, any of which may be replaced, and the label ``Churn``."""
    columns = {**COLUMNS, **changes.pop("columns", {})}
    return Contract.model_validate(
        {
            "name": "test",
            "churn": {"label": "Churn", "positive": "Yes", "negative": "No"},
            "economics": {"customer_value": 100, "contact_cost": 1, "offer_cost": 5, "success_rate": 0.3},
            "columns": {name: column for name, column in columns.items() if column is not None},
            **changes,
        }
    )


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., Contract]:
    """`build_contract`, for tests that change something."""
    return build_contract


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Every kind of column."""
    return build_contract()


@pytest.fixture(scope="session")
def text_frame() -> pl.DataFrame:
    """Three customers as text."""
    return pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "charge": ["29.85", "56.95", "100"],
            "tenure": ["1", "34", "2"],
            "senior": ["0", "1", "0"],
            "partner": ["Yes", "No", "No"],
            "joined": ["2024-01-31", "2023-12-01", "2020-02-29"],
            "plan": ["Basic", "Plus", "1"],
            "city": ["Oslo", "Rome", "Bonn"],
            "note": ["x", "y", "z"],
            "Churn": ["Yes", "No", "No"],
        }
    )


def _telco_contract(frame: pl.DataFrame) -> Contract:
    """What `holdfast init` would say of the telco table, without going through inference."""
    columns: dict[str, dict[str, Any]] = {}
    for name in frame.columns[:-1]:
        seen = set(frame[name].unique())
        if name == "customerID":
            columns[name] = {"kind": "id"}
        elif name == "tenure":
            columns[name] = {"kind": "integer", "min": 0, "max": 1000}
        elif name in {"MonthlyCharges", "TotalCharges"}:
            columns[name] = {"kind": "number", "min": 0, "max": 100_000}
        elif seen == {"0", "1"}:
            columns[name] = {"kind": "boolean", "true": "1", "false": "0"}
        elif seen == {"Yes", "No"}:
            columns[name] = {"kind": "boolean", "true": "Yes", "false": "No"}
        else:
            columns[name] = {"kind": "category", "levels": sorted(seen)}
    return build_contract(columns={**dict.fromkeys(COLUMNS), **columns})


@pytest.fixture(scope="session")
def telco(shared_data: Path) -> tuple[pl.DataFrame, Contract]:
    """The real telco table as text, and its contract."""
    frame = pl.read_csv(shared_data / "telco_churn.csv", infer_schema=False)
    return frame, _telco_contract(frame)
