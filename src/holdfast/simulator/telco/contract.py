"""The contract of the simulated tables: what a business would write about them, ready to be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract import toml
from holdfast.simulator.telco.calendar import FAMILIES
from holdfast.simulator.telco.people import PAYMENT, SEGMENTS, TIERS
from holdfast.simulator.telco.places import PROVINCES
from holdfast.simulator.telco.tickets import CATEGORIES
from holdfast.simulator.telco.transactions import KINDS, STATUS

if TYPE_CHECKING:
    from holdfast.simulator.telco.calendar import Calendar

_TEXT = """\
# A simulated telco: who leaves within 60 days, judged on the first of each month.
version = 1
name = "telco"

[clock]
time_zone = "UTC"
snapshots = "monthly"
until = {until}  # all that happened before is in the tables; some of it became known later

[churn]
event = "end"
table = "subscriptions"  # a change of plan ends one and begins the next: such a customer has not left
horizon_days = 60

[economics]
customer_value = 600
contact_cost = 2
offer_cost = 40
success_rate = 0.3

[tables.customers]
kind = "customers"
source = {customers}
customer = "customer_id"
begin = "signup_date"

[tables.customers.columns]
province = {{ kind = "category", levels = {provinces} }}
postal_code = {{ kind = "text" }}
birth_date = {{ kind = "date" }}
segment = {{ kind = "category", levels = {segments} }}
payment_method = {{ kind = "category", levels = {payment} }}

[tables.subscriptions]
kind = "intervals"
source = {subscriptions}
customer = "customer_id"
id = "subscription_id"  # several rows of one are versions: an end is entered, and sometimes corrected
begin = "started_at"
end = "ended_at"
known = "known_at"

[tables.subscriptions.columns]
plan = {{ kind = "category", levels = {plans} }}
contract_months = {{ kind = "integer" }}  # 0: by the month
contract_until = {{ kind = "date" }}
add_ons = {{ kind = "integer" }}
monthly_charge = {{ kind = "number" }}
end_reason = {{ kind = "category", exclude = "says why a customer left" }}

[tables.transactions]
kind = "events"
source = {transactions}
customer = "customer_id"
id = "transaction_id"  # as above: some bills and payments are corrected
time = "happened_at"
known = "known_at"
failures = {{ status = ["failed"] }}

[tables.transactions.columns]
kind = {{ kind = "category", levels = {kinds} }}
amount = {{ kind = "number" }}
status = {{ kind = "category", levels = {status} }}
due_at = {{ kind = "date" }}
paid_at = {{ kind = "date" }}
usage_gb = {{ kind = "number" }}  # of the month before the bill

[tables.support_tickets]
kind = "events"
source = {support_tickets}
customer = "customer_id"
id = "ticket_id"  # as above: closing a ticket is a new version of it
time = "opened_at"
known = "known_at"

[tables.support_tickets.columns]
closed_at = {{ kind = "date" }}
category = {{ kind = "category", levels = {categories} }}
satisfaction = {{ kind = "integer", min = 1, max = 5 }}
"""


def contract_text(calendar: Calendar, sources: dict[str, str]) -> str:
    """The text of ``churn.toml``.

    Args:
        calendar: of the world.
        sources: of each table, as the contract names it: a file or ``table:NAME``.
    """
    return _TEXT.format(
        until=calendar.day(calendar.months).isoformat(),
        provinces=toml.value([province.code for province in PROVINCES]),
        segments=toml.value(list(SEGMENTS)),
        payment=toml.value(list(PAYMENT)),
        plans=toml.value([f"{family} {tier}" for family in FAMILIES for tier in TIERS]),
        kinds=toml.value(list(KINDS)),
        status=toml.value(list(STATUS)),
        categories=toml.value(list(CATEGORIES)),
        **{name: toml.value(source) for name, source in sources.items()},
    )
