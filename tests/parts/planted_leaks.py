"""Leaks planted into a copy of a simulated telco, each as careless exports make it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path


def copied(world: Path, folder: Path) -> Path:
    """The tables and the contract alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*world.glob("*.parquet"), world / "churn.toml"]:
        shutil.copy(file, folder)
    return folder


def changed(folder: Path, old: str, new: str) -> None:
    """Replace text in the contract, once."""
    contract = folder / "churn.toml"
    text = contract.read_text(encoding="utf-8")
    assert old in text, old
    contract.write_text(text.replace(old, new, 1), encoding="utf-8")


def rewritten(folder: Path, table: str, frame: pl.DataFrame) -> None:
    frame.write_parquet(folder / f"{table}.parquet")


def read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{table}.parquet")


def current(folder: Path, table: str, key: str) -> pl.DataFrame:
    """The last version of each row."""
    return (
        read(folder, table)
        .sort("known_at", maintain_order=True)
        .unique(key, keep="last", maintain_order=True)
    )


def leavers(folder: Path) -> pl.DataFrame:
    """``customer_id`` and ``left``: who left for good, and when."""
    last = current(folder, "subscriptions", "subscription_id").sort("customer_id", "started_at")
    last = last.group_by("customer_id", maintain_order=True).last()
    return last.filter(pl.col("ended_at").is_not_null()).select("customer_id", left="ended_at")


def lifetime_value(folder: Path) -> None:
    """Customers have the sum of all that they ever paid."""
    paid = current(folder, "transactions", "transaction_id").filter(
        (pl.col("kind") == "payment") & (pl.col("status") == "paid")
    )
    value = paid.group_by("customer_id").agg(pl.col("amount").sum().alias("lifetime_value"))
    rewritten(folder, "customers", read(folder, "customers").join(value, on="customer_id", how="left"))
    changed(
        folder,
        'birth_date = { kind = "date" }',
        'birth_date = { kind = "date" }\nlifetime_value = { kind = "number" }',
    )


def last_login(folder: Path) -> None:
    """Customers have the day of the last event of all."""
    last = (
        read(folder, "transactions")
        .group_by("customer_id")
        .agg(pl.col("happened_at").max().alias("last_seen"))
    )
    rewritten(folder, "customers", read(folder, "customers").join(last, on="customer_id", how="left"))
    changed(
        folder,
        'birth_date = { kind = "date" }',
        'birth_date = { kind = "date" }\nlast_seen = { kind = "date" }',
    )


def status(folder: Path) -> None:
    """Customers have a status that says who has left by now."""
    customers = read(folder, "customers").join(leavers(folder), on="customer_id", how="left")
    said = (
        pl.when(pl.col("left").is_null()).then(pl.lit("active")).otherwise(pl.lit("closed")).alias("status")
    )
    rewritten(folder, "customers", customers.with_columns(said).drop("left"))
    changed(
        folder,
        'birth_date = { kind = "date" }',
        'birth_date = { kind = "date" }\nstatus = { kind = "category" }',
    )


def present_plan(folder: Path) -> None:
    """Customers have the plan of their last subscription."""
    last = current(folder, "subscriptions", "subscription_id").sort("customer_id", "started_at")
    plan = last.group_by("customer_id", maintain_order=True).last().select("customer_id", tariff="plan")
    rewritten(folder, "customers", read(folder, "customers").join(plan, on="customer_id", how="left"))
    changed(
        folder,
        'birth_date = { kind = "date" }',
        'birth_date = { kind = "date" }\ntariff = { kind = "category" }',
    )


def updated_plan(folder: Path) -> None:
    """All subscriptions of a customer say the plan of the last."""
    rows = read(folder, "subscriptions").sort("customer_id", "started_at", "known_at")
    rewritten(folder, "subscriptions", rows.with_columns(pl.col("plan").last().over("customer_id")))


def _tickets(folder: Path, rows: pl.DataFrame) -> None:
    tickets = read(folder, "support_tickets")
    more = rows.with_columns(
        pl.int_range(pl.len()).cast(tickets.schema["ticket_id"]).alias("ticket_id") + 10_000_000,
        pl.col("opened_at").alias("known_at"),
        pl.lit(None, tickets.schema["closed_at"]).alias("closed_at"),
        pl.lit(None, tickets.schema["satisfaction"]).alias("satisfaction"),
    ).select(tickets.columns)
    rewritten(folder, "support_tickets", pl.concat([tickets, more]))


def _days_before(folder: Path, least: int, most: int, seed: int = 1) -> pl.DataFrame:
    who = leavers(folder)
    days = pl.int_range(pl.len()).shuffle(seed=seed) % (most - least) + least
    return who.select("customer_id", opened_at=pl.col("left") - pl.duration(days=days, hours=1))


def closing_call(folder: Path) -> None:
    """Whoever leaves calls in the ten days before, and so is a category of its own."""
    _tickets(folder, _days_before(folder, 1, 10).with_columns(category=pl.lit("closing call")))
    changed(folder, '"complaint", "cancellation"]', '"complaint", "cancellation", "closing call"]')


def cancellation_before(folder: Path) -> None:
    """The calls at leaving are dated some days earlier."""
    tickets = read(folder, "support_tickets")
    earlier = [
        pl.when(pl.col("category") == "cancellation")
        .then(pl.col(c) - pl.duration(days=4))
        .otherwise(c)
        .alias(c)
        for c in ("opened_at", "known_at")
    ]
    rewritten(folder, "support_tickets", tickets.with_columns(earlier))


def backfilled_category(folder: Path) -> None:
    """Reasons of leaving are written in as tickets of long before."""
    _tickets(folder, _days_before(folder, 20, 300).with_columns(category=pl.lit("retention")))
    changed(folder, '"complaint", "cancellation"]', '"complaint", "cancellation", "retention"]')


def backfilled_complaints(folder: Path) -> None:
    """Complaints are written in for whoever left, as of some weeks before, like any other complaint."""
    _tickets(folder, _days_before(folder, 5, 50).with_columns(category=pl.lit("complaint")))


def known_undeclared(folder: Path) -> None:
    """The contract does not say that tickets have a time at which they became known."""
    rewritten(folder, "support_tickets", current(folder, "support_tickets", "ticket_id"))
    before, tickets = (folder / "churn.toml").read_text(encoding="utf-8").split("[tables.support_tickets]")
    tickets = tickets.replace('known = "known_at"\n', "", 1)
    (folder / "churn.toml").write_text(f"{before}[tables.support_tickets]{tickets}", encoding="utf-8")


PLANTED = {
    lifetime_value: "customers.lifetime_value",
    last_login: "customers.last_seen",
    status: 'customers.status = "closed"',
    present_plan: "customers.tariff",
    updated_plan: "subscriptions.plan",
    closing_call: 'support_tickets.category = "closing call"',
    cancellation_before: 'support_tickets.category = "cancellation"',
    backfilled_category: 'support_tickets.category = "retention"',
    backfilled_complaints: 'support_tickets.category = "complaint"',
    known_undeclared: "support_tickets.known_at",
}
"""Each way of planting to the place that must be named."""
