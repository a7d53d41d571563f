"""Rows of the log of predictions, as a server writes them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from holdfast.predictions.listing import first_id
from holdfast.store import writing
from holdfast.store.tables import predictions

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def id_of(chance, at):
    """A UUID of version 7."""
    bits = f"{chance.getrandbits(72):018x}"
    return f"{first_id(at)[:14]}7{bits[:3]}-8{bits[3:6]}-{bits[6:]}"


def row_of(chance, at=NOON, customer="C-1", **changes):
    """A logged prediction, made at ``at``."""
    probability = chance.random()
    facts = {
        "id": id_of(chance, at),
        "request": id_of(chance, at),
        "at": at,
        "customer_id": customer,
        "as_of": at,
        "model": "customers",
        "version": f"v{chance.randrange(1, 4)}",
        "slot": "champion",
        "record": json.dumps({"Customer No.": customer, "City": 'Bonn, "Süd"\n', "tenure": 3}),
        "probability": probability,
        "threshold": 0.3,
        "will_churn": probability >= 0.3,
        "latency_ms": 1.5,
        "key_id": chance.choice([None, "key:crm"]),
        "correlation_id": "abc",
    }
    return facts | changes


def log_rows(engine, many, *, start=NOON, step=timedelta(seconds=1), customers=7, seed=1):
    """Log so many predictions, a second apart from ``start`` on, of so many customers; returns the rows."""
    chance = random.Random(seed)  # noqa: S311 - no secret, a repeatable test
    rows = [
        row_of(chance, start + number * step, f"C-{chance.randrange(customers)}") for number in range(many)
    ]
    with writing(engine) as connection:
        connection.execute(sa.insert(predictions), rows)
    return rows
