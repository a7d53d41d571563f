"""The fixed vocabulary of meanings: what a column *is*, whatever a company calls it.

Record features (`holdfast.features`) switch on when the meanings they need are present, so the same
features work on any company's column names.
"""

from __future__ import annotations

from enum import StrEnum


class Meaning(StrEnum):
    """What a column means to the business. The comment gives the unit or the kind of value."""

    TENURE_MONTHS = "tenure_months"  # months since the customer joined
    SIGNUP_DATE = "signup_date"  # date the customer joined
    MONTHLY_CHARGE = "monthly_charge"  # money a month, now
    TOTAL_CHARGE = "total_charge"  # money paid since the customer joined
    CONTRACT_TERM = "contract_term"  # category: month-to-month, one year, …
    PAYMENT_METHOD = "payment_method"  # category: card, bank transfer, cheque, …
    PAPERLESS_BILLING = "paperless_billing"  # yes / no
    INTERNET_SERVICE = "internet_service"  # category: fibre, DSL, none, …
    PHONE_SERVICE = "phone_service"  # yes / no
    ADDON_SERVICE = "addon_service"  # yes / no; any number of columns may have it
    STREAMING_SERVICE = "streaming_service"  # yes / no; any number of columns may have it
    DEVICE_PROTECTION = "device_protection"  # yes / no
    SUPPORT_CALLS = "support_calls"  # count over the customer's life or the recorded period
    LATE_PAYMENTS = "late_payments"  # count
    BILLING_ISSUES = "billing_issues"  # count
    DATA_USAGE = "data_usage"  # volume a month
    PHONE_USAGE = "phone_usage"  # minutes a month
    AGE = "age"  # years
    GENDER = "gender"  # category
    LOCATION = "location"  # category: city, region, postal code


REPEATABLE = frozenset({Meaning.ADDON_SERVICE, Meaning.STREAMING_SERVICE, Meaning.LOCATION})
"""Meanings that more than one column may carry; every other meaning is given to one column at most."""
