"""The named record features: meaning needed, formula, unit; each a Polars expression over one row.

A feature is built only where the meanings it needs are present, and never breaks when an optional one is not.
Divisions by zero, infinities and overflows come out missing. The encodings that depend on data (risk of a
level, low / medium / high) are not typed in here: a feature of kind ``risk`` or ``thirds`` names its source
and `holdfast.features.encode` learns the numbers on training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add, or_
from typing import TYPE_CHECKING, Literal

import polars as pl

from holdfast.contract import Meaning
from holdfast.features import units

if TYPE_CHECKING:
    from collections.abc import Callable

    from polars.expr.whenthen import ChainedThen, Then

    from holdfast.features.columns import Columns
    from holdfast.features.units import Unit

FeatureKind = Literal["number", "boolean", "category", "risk", "thirds"]

MONTH_DAYS = 365.2425 / 12
_SERVICES = (
    Meaning.PHONE_SERVICE,
    Meaning.INTERNET_SERVICE,
    Meaning.ADDON_SERVICE,
    Meaning.DEVICE_PROTECTION,
    Meaning.STREAMING_SERVICE,
)
_PREMIUM = (Meaning.ADDON_SERVICE, Meaning.DEVICE_PROTECTION)


@dataclass(frozen=True)
class RecordFeature:
    """One named feature.

    Attributes:
        name: what it is called in matrices, reasons and reports.
        kind: how its values are encoded.
        unit: what its values are measured in.
        build: the expression, or None where this contract lacks a meaning it needs.
        doc: meaning needed and formula.
    """

    name: str
    kind: FeatureKind
    unit: Unit
    build: Callable[[Columns], pl.Expr | None]

    @property
    def doc(self) -> str:
        """Meaning needed and formula, in words."""
        return (self.build.__doc__ or "").strip()


RECORD_FEATURES: dict[str, RecordFeature] = {}


def _feature(
    kind: FeatureKind, unit: Unit
) -> Callable[[Callable[[Columns], pl.Expr | None]], Callable[[Columns], pl.Expr | None]]:
    """Put a builder into `RECORD_FEATURES` under its own name."""

    def register(build: Callable[[Columns], pl.Expr | None]) -> Callable[[Columns], pl.Expr | None]:
        name = build.__name__
        RECORD_FEATURES[name] = RecordFeature(name, kind, unit, build)
        return build

    return register


def _finite(expr: pl.Expr) -> pl.Expr:
    """``expr``, missing where it is infinite or not a number."""
    value = expr.cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)


def _ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """``above / below``, missing where ``below`` is zero or the result overflows."""
    return _finite(pl.when(below != 0).then(above / below))


def _number(columns: Columns, meaning: Meaning) -> pl.Expr | None:
    return columns.number(meaning) if columns.is_numeric(meaning) else None


def _months(columns: Columns) -> pl.Expr | None:
    return _number(columns, Meaning.TENURE_MONTHS)


def _bands(value: pl.Expr, names: tuple[str, str, str, str]) -> pl.Expr:
    """Tenure in four bands: under 12, 12 to 24, 24 to 48, 48 months and more."""
    first, second, third, last = (pl.lit(name, dtype=pl.Enum(names)) for name in names)
    banded = pl.when(value < 12).then(first).when(value < 24).then(second).when(value < 48).then(third)  # noqa: PLR2004 - the bands that the docstring names
    return banded.when(value.is_not_null()).then(last)


def _held(columns: Columns, *meanings: Meaning) -> pl.Expr | None:
    """How many of the services with ``meanings`` a customer has; missing ones count as not held."""
    held = [columns.present(name).fill_null(value=False).cast(pl.Int32) for name in columns.names(*meanings)]
    return reduce(add, held) if held else None


# --- tenure -----------------------------------------------------------------------------------------------


@_feature("boolean", units.FLAG)
def is_new_customer(columns: Columns) -> pl.Expr | None:
    """Needs tenure_months. Joined less than 3 months ago."""
    months = _months(columns)
    return None if months is None else months < 3  # noqa: PLR2004 - the formula in the docstring


@_feature("category", units.BAND)
def loyalty_level(columns: Columns) -> pl.Expr | None:
    """Needs tenure_months. New (under 12 months), Regular (to 24), Loyal (to 48), Champion."""
    months = _months(columns)
    return None if months is None else _bands(months, ("New", "Regular", "Loyal", "Champion"))


@_feature("category", units.MONTHS)
def tenure_group(columns: Columns) -> pl.Expr | None:
    """Needs tenure_months. 0-12, 12-24, 24-48, 48+ months; the upper end belongs to the next band."""
    months = _months(columns)
    return None if months is None else _bands(months, ("0-12", "12-24", "24-48", "48+"))


@_feature("number", units.YEARS)
def tenure_years(columns: Columns) -> pl.Expr | None:
    """Needs tenure_months. tenure_months / 12."""
    months = _months(columns)
    return None if months is None else _finite(months / 12)


@_feature("number", units.DAYS)
def days_since_signup(columns: Columns) -> pl.Expr | None:
    """Needs tenure_months, or else signup_date. Tenure in days of 30.44 a month; by date, see below.

    By date it is counted up to 1970-01-01 instead of up to a snapshot's day, which no row knows of itself:
    days since signup less the same number for everyone, so a row alone has the value that it has in a table.
    """
    months = _months(columns)
    if months is not None:
        return _finite(months * MONTH_DAYS)
    if columns.is_date(Meaning.SIGNUP_DATE):
        return -pl.col(columns.names(Meaning.SIGNUP_DATE)[0]).cast(pl.Int32).cast(pl.Float64)
    return None


# --- money ------------------------------------------------------------------------------------------------


@_feature("number", units.MONEY)
def customer_lifetime_value(columns: Columns) -> pl.Expr | None:
    """Needs monthly_charge and tenure_months. Their product: revenue so far at today's price."""
    charge, months = _number(columns, Meaning.MONTHLY_CHARGE), _months(columns)
    return None if charge is None or months is None else _finite(charge * months)


@_feature("number", units.RATIO)
def monthly_to_total_ratio(columns: Columns) -> pl.Expr | None:
    """Needs monthly_charge and total_charge. monthly / total charge; missing where nothing was paid."""
    charge, total = _number(columns, Meaning.MONTHLY_CHARGE), _number(columns, Meaning.TOTAL_CHARGE)
    return None if charge is None or total is None else _ratio(charge, total)


@_feature("number", units.MONEY_A_SERVICE)
def price_per_service(columns: Columns) -> pl.Expr | None:
    """Needs monthly_charge and any service. monthly_charge / services held (at least 1)."""
    charge, services = _number(columns, Meaning.MONTHLY_CHARGE), _held(columns, *_SERVICES)
    if charge is None or services is None:
        return None
    return _ratio(charge, services.clip(lower_bound=1))


@_feature("number", units.MONEY_A_MONTH)
def avg_monthly_spend(columns: Columns) -> pl.Expr | None:
    """Needs total_charge and tenure_months. total_charge / tenure_months; missing in the first month."""
    total, months = _number(columns, Meaning.TOTAL_CHARGE), _months(columns)
    return None if total is None or months is None else _ratio(total, months)


@_feature("risk", units.CHURN_RATE)
def payment_method_risk(columns: Columns) -> pl.Expr | None:
    """Needs payment_method. The smoothed churn rate of the customer's payment method, learned in training."""
    return _level(columns, Meaning.PAYMENT_METHOD)


@_feature("boolean", units.FLAG)
def has_autopay(columns: Columns) -> pl.Expr | None:
    """Needs payment_method. The method is named automatic, direct debit, recurring, withdrawal or a card."""
    names = columns.names(Meaning.PAYMENT_METHOD)
    pattern = r"\bauto|direct debit|recurring|standing order|withdrawal|\bcard\b"
    return columns.matches(names[0], pattern) if columns.is_category(Meaning.PAYMENT_METHOD) else None


@_feature("number", units.PAYMENTS)
def late_payment_count(columns: Columns) -> pl.Expr | None:
    """Needs late_payments. Late payments on record."""
    return _number(columns, Meaning.LATE_PAYMENTS)


@_feature("number", units.ISSUES)
def billing_issues_count(columns: Columns) -> pl.Expr | None:
    """Needs billing_issues. Billing issues on record."""
    return _number(columns, Meaning.BILLING_ISSUES)


# --- services ---------------------------------------------------------------------------------------------


@_feature("number", units.SERVICES)
def total_services_count(columns: Columns) -> pl.Expr | None:
    """Needs any service. Phone, internet, add-on, protection and streaming services held."""
    return _held(columns, *_SERVICES)


@_feature("category", units.KIND)
def internet_service_type(columns: Columns) -> pl.Expr | None:
    """Needs internet_service. Fibre, DSL, Cable, Mobile, Other, or None, whatever the company's spelling."""
    names = columns.names(Meaning.INTERNET_SERVICE)
    if not columns.is_category(Meaning.INTERNET_SERVICE):
        return None
    name = names[0]
    kinds = {
        "Fibre": r"fib(?:er|re)|\bftt",
        "DSL": r"dsl",
        "Cable": r"cable|coax",
        "Mobile": r"mobile|[45]g\b",
    }
    types = pl.Enum(["None", *kinds, "Other"])
    typed: Then | ChainedThen = pl.when(~columns.present(name)).then(pl.lit("None", dtype=types))
    for label, pattern in kinds.items():
        typed = typed.when(columns.matches(name, pattern)).then(pl.lit(label, dtype=types))
    return typed.when(pl.col(name).is_not_null()).then(pl.lit("Other", dtype=types))


@_feature("boolean", units.FLAG)
def has_premium_services(columns: Columns) -> pl.Expr | None:
    """Needs addon_service or device_protection. Holds at least one of them."""
    held = [columns.present(name).fill_null(value=False) for name in columns.names(*_PREMIUM)]
    return reduce(or_, held) if held else None


@_feature("number", units.SHARE)
def service_adoption_rate(columns: Columns) -> pl.Expr | None:
    """Needs any service. Services held / services on offer (0 to 1)."""
    services = _held(columns, *_SERVICES)
    return None if services is None else _finite(services / len(columns.names(*_SERVICES)))


@_feature("thirds", units.LEVEL)
def data_usage_level(columns: Columns) -> pl.Expr | None:
    """Needs data_usage. Low, medium or high: the thirds of the training customers."""
    return _number(columns, Meaning.DATA_USAGE)


@_feature("thirds", units.LEVEL)
def phone_usage_level(columns: Columns) -> pl.Expr | None:
    """Needs phone_usage. Low, medium or high: the thirds of the training customers."""
    return _number(columns, Meaning.PHONE_USAGE)


@_feature("number", units.SERVICES)
def streaming_services_count(columns: Columns) -> pl.Expr | None:
    """Needs streaming_service. Streaming services held."""
    return _held(columns, Meaning.STREAMING_SERVICE)


# --- behaviour --------------------------------------------------------------------------------------------


@_feature("number", units.CALLS_A_MONTH)
def support_calls_per_month(columns: Columns) -> pl.Expr | None:
    """Needs support_calls and tenure_months. support_calls / tenure_months (at least 1 month)."""
    calls, months = _number(columns, Meaning.SUPPORT_CALLS), _months(columns)
    return None if calls is None or months is None else _ratio(calls, months.clip(lower_bound=1))


@_feature("risk", units.CHURN_RATE)
def contract_type_risk(columns: Columns) -> pl.Expr | None:
    """Needs contract_term. The smoothed churn rate of the customer's contract term, learned in training."""
    return _level(columns, Meaning.CONTRACT_TERM)


@_feature("number", units.MONTHS)
def contract_length_months(columns: Columns) -> pl.Expr | None:
    """Needs contract_term. Months a contract runs, read from its name: monthly 1, one year 12, …."""
    if not columns.is_category(Meaning.CONTRACT_TERM):
        return _number(columns, Meaning.CONTRACT_TERM)
    names = columns.names(Meaning.CONTRACT_TERM)
    terms = {
        36: r"(?:three|3)[ _-]?y|\b36",
        24: r"(?:two|2)[ _-]?y|\b24|bienn",
        12: r"(?:one|1)[ _-]?y|\b12\b|annual|year",
        6: r"(?:six|6)[ _-]?m|half",
        3: r"(?:three|3)[ _-]?m|quarter",
        1: r"month|rolling|flex|prepaid",
    }
    length: Then | ChainedThen = pl.when(pl.lit(value=False)).then(pl.lit(0.0))
    for months, pattern in terms.items():
        length = length.when(columns.matches(names[0], pattern)).then(pl.lit(float(months)))
    return length.otherwise(None)


@_feature("boolean", units.FLAG)
def has_device_protection(columns: Columns) -> pl.Expr | None:
    """Needs device_protection. Holds it."""
    names = columns.names(Meaning.DEVICE_PROTECTION)
    return columns.yes(names[0]) if names else None


@_feature("number", units.SCORE)
def engagement_score(columns: Columns) -> pl.Expr | None:
    """Needs two of: tenure_months, contract_term, payment_method, any service. The mean of these, 0 to 1.

    Parts, each 0 to 1: tenure / 60 months, contract length / 24 months, automatic payment, services held / on
    offer. A missing part of a customer is left out of that customer's mean.
    """
    months, length = _months(columns), contract_length_months(columns)
    parts = [
        None if months is None else (months / 60).clip(0, 1),
        None if length is None else (length / 24).clip(0, 1),
        has_autopay(columns),
        service_adoption_rate(columns),
    ]
    known = [_finite(part.cast(pl.Float64)) for part in parts if part is not None]
    return pl.mean_horizontal(known) if len(known) > 1 else None


def _level(columns: Columns, meaning: Meaning) -> pl.Expr | None:
    names = columns.names(meaning)
    return pl.col(names[0]) if columns.is_category(meaning) else None
