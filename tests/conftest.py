"""What every test may ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import polars as pl

    from holdfast.contract import Contract
    from holdfast.model import Model

settings.register_profile("same", derandomize=True)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real public datasets; tests that need it skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the shared datasets (../shared/data) are not on this machine")
    return SHARED


@dataclass(frozen=True)
class Shop:
    """A small telco with two really trained versions. Read only: all tests share it."""

    customers: pl.DataFrame
    """What it was trained on, typed, with id (``customerID``) and label (``Churn``)."""
    table: Path
    """The same as CSV, as IBM writes it."""
    contract_file: Path
    contract: Contract
    home: Path
    model: Model
    """v1, the champion: boosted trees."""
    challenger: Model
    """v2: logistic regression on splines."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Shop:
    """Two versions, trained once on 800 simulated customers."""
    from holdfast.contract.infer import infer_contract  # noqa: PLC0415 - most tests need none of this
    from holdfast.contract.write import write_contract  # noqa: PLC0415 - as above
    from holdfast.simulator import simulate  # noqa: PLC0415 - as above
    from holdfast.training import train  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("trained")
    table, contract_file, home = folder / "customers.csv", folder / "churn.toml", folder / "home"
    customers = simulate(800, seed=11).customers
    customers.write_csv(table, null_value=" ")
    inferred = infer_contract(customers, label="Churn")
    write_contract(inferred, contract_file, table)
    champion, challenger = (
        train(customers, inferred.contract, budget=1.0, models=[name], seed=1, home=home).model
        for name in ("lightgbm", "logistic_regression")
    )
    return Shop(customers, table, contract_file, inferred.contract, home, champion, challenger)
