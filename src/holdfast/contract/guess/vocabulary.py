"""The names that each meaning goes by in the tables of many companies.

Phrases are in the form of `holdfast.contract.guess.names.words`: lower case and singular.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.contract.meanings import Meaning
from holdfast.contract.types import NUMERIC, Kind

_M = Meaning
_WORDY = frozenset({Kind.CATEGORY})
_YES_NO = frozenset({Kind.BOOLEAN, Kind.CATEGORY})


@dataclass(frozen=True)
class Rule:
    """Names that carry a meaning, and what its values must be like."""

    meaning: Meaning
    kinds: frozenset[Kind]
    phrases: str
    """Separated by commas. Each matches its words in a row; with ``=`` before it, only the whole name."""
    never: str = ""
    """Words, any of which makes it something else."""
    low: float | None = None
    """For numbers: what the smallest must reach."""
    top: tuple[float, float] | None = None
    """For numbers: between what the largest must lie."""
    prefers: Kind | None = None
    """The kind that says more, where columns of several kinds would do."""


_PARTIAL = (
    "day evening night international distance roaming overage extra refund peak off refill long local change "
    "delta ratio rate per share difference lag previous last first second third q4 q1"
)

RULES: tuple[Rule, ...] = (
    Rule(
        _M.TENURE_MONTHS,
        NUMERIC,
        phrases="""
        tenure in month, tenure month, month on book, month in service, month as customer,
        =month active, customer tenure, =tenure, account age month, month since join, month
        since joined, subscription length, membership month, month with company, relationship
        month, length of service month, month tenure, month since activation, =customer age
        month, tenure with company, tenure of month, subscription month, length of relationship,
        month subscribed, customer lifetime month, month since signup
        """,
        never="band bucket day group hour left level remaining segment until week year",
        low=0,
        top=(15, 900),
    ),
    Rule(
        _M.SIGNUP_DATE,
        frozenset({Kind.DATE}),
        phrases="""
        sign up, join date, joining date, joined, date joined, registration, registered,
        register, start date, activation date, customer since, member since, client since, open
        date, opened, enrollment, enrolment, account created, created, onboarding, subscription
        start, activated, signup, open, registration init time, acquisition date, since
        """,
        never="call campaign cancel close contract end expire last offer promo termination ticket trial",
    ),
    Rule(
        _M.MONTHLY_CHARGE,
        NUMERIC,
        phrases="""
        monthly charge, charge per month, monthly fee, monthly bill, monthly rent, monthly
        price, =mrc, monthly cost, monthly payment, monthly revenue, monthly amount, monthly
        premium, =arpu, monthly spend, charge monthly, bill per month, monthly subscription,
        monthly recurring charge, month charge, =monthly, monthly billing, price per month,
        monthly total charge, average monthly bill, monthly plan amount, recurring charge,
        monthly rate, monthly due, monthly contract fee, subscription price
        """,
        never="change count data distance evening extra gb international long night overage "
        "ratio refund roaming total",
        low=0,
    ),
    Rule(
        _M.TOTAL_CHARGE,
        NUMERIC,
        phrases="""
        total charge, total spend, total spent, lifetime spend, total paid, total billed, total
        payment, total amount paid, charge total, total revenue, total bill, total amount spent,
        cumulative charge, amount paid to date, total purchase amount, lifetime charge, total
        amount
        """,
        never=_PARTIAL + " average data minute monthly trans transaction",
        low=0,
    ),
    Rule(
        _M.CONTRACT_TERM,
        frozenset({Kind.CATEGORY, Kind.INTEGER}),
        phrases="""
        =contract, contract term, contract type, contract length, contract period, contract
        duration, type of contract, contract month, subscription term, plan duration, commitment
        period, contract plan
        """,
        never="count date end fee number remaining renewal since start value",
        low=0,
        top=(1, 120),
    ),
    Rule(
        _M.PAYMENT_METHOD,
        _WORDY,
        phrases="""
        payment method, payment type, payment mode, pay method, method of payment, mode of
        payment, billing method, payment option, payment channel, payment instrument
        """,
    ),
    Rule(
        _M.PAPERLESS_BILLING,
        _YES_NO,
        phrases="""
        paperless billing, paperless, e bill, ebill, electronic billing, e billing, paperless
        bill, electronic bill, online billing, ebilling
        """,
    ),
    Rule(
        _M.INTERNET_SERVICE,
        _YES_NO,
        phrases="""
        internet type, internet service, type of internet, internet connection, broadband type,
        =internet, internet service type, connection type, =broadband, internet plan, internet
        access
        """,
        never="charge data gb issue speed usage",
        prefers=Kind.CATEGORY,
    ),
    Rule(
        _M.PHONE_SERVICE,
        _YES_NO,
        phrases="""
        phone service, telephone service, has phone, phone subscription, voice service, landline
        """,
        never="call number",
    ),
    Rule(
        _M.DEVICE_PROTECTION,
        _YES_NO,
        phrases="""
        device protection, device protection plan, equipment protection, handset protection,
        device insurance, handset insurance, phone protection, device care
        """,
    ),
    Rule(
        _M.STREAMING_SERVICE,
        _YES_NO,
        phrases="""
        streaming tv, streaming movie, streaming music, streaming service, streaming, video on
        demand, tv streaming, movie streaming, music streaming, iptv, tv subscriber, movie
        subscriber, music service
        """,
        never="count device gb hour minute quality usage",
    ),
    Rule(
        _M.ADDON_SERVICE,
        _YES_NO,
        phrases="""
        online security, online backup, tech support, technical support, premium tech support,
        cloud backup, cloud storage, antivirus, security service, international plan, voice mail
        plan, voice mail, v mail plan, roaming plan, unlimited data, call waiting, caller id,
        call forwarding, insurance plan, add on, addon, premium support, parental control,
        security suite, backup service, data plan, static ip
        """,
        never="call charge count message minute number usage",
    ),
    Rule(
        _M.SUPPORT_CALLS,
        NUMERIC,
        phrases="""
        support call, customer service call, service call, customer care call, support ticket,
        care call, helpdesk call, call to support, call center call, support contact, call to
        customer service, customer support call, tech ticket, admin ticket, number of complaint,
        complaint count, support case, support interaction, support request, contact count,
        ticket count, number of ticket, call center contact
        """,
        never="average day duration minute satisfaction score since time",
        low=0,
    ),
    Rule(
        _M.LATE_PAYMENTS,
        NUMERIC,
        phrases="""
        late payment, missed payment, overdue payment, payment delay count, number late,
        delinquency count, delayed payment, failed payment, payment failure, late bill, unpaid
        bill, overdue bill
        """,
        never="amount average charge date day fee rate",
        low=0,
    ),
    Rule(
        _M.BILLING_ISSUES,
        NUMERIC,
        phrases="""
        billing issue, billing dispute, billing complaint, billing error, billing problem,
        billing ticket, disputed bill, invoice dispute
        """,
        never="date day",
        low=0,
    ),
    Rule(
        _M.DATA_USAGE,
        NUMERIC,
        phrases="""
        data usage, gb download, data used, data volume, internet usage, usage gb, gb used, data
        gb, data consumption, monthly gb, mb used, data mb, monthly data, download gb, gb per
        month, gb usage
        """,
        never="change charge cost extra limit overage plan ratio remaining",
        low=0,
    ),
    Rule(
        _M.PHONE_USAGE,
        NUMERIC,
        phrases="""
        monthly minute, call minute, voice minute, minute of use, phone usage, voice usage,
        minute used, usage minute, minute per month, =minute, =mou, total minute, call usage,
        talk time, second of use
        """,
        never=_PARTIAL + " charge internet listen music overage received roam second video watch",
        low=0,
    ),
    Rule(
        _M.AGE,
        NUMERIC,
        phrases="""
        =age, customer age, client age, age year, age in year, user age, subscriber age, member
        age, =age hh 1, =age hh1
        """,
        never="account average band bucket day device equipment group month segment",
        low=0,
        top=(30, 120),
    ),
    Rule(
        _M.GENDER,
        _YES_NO,
        phrases="""
        =gender, =sex, customer gender, client gender, user gender, =gender code
        """,
    ),
    Rule(
        _M.LOCATION,
        _WORDY,
        phrases="""
        =city, =state, =region, =province, =country, zip, zip code, postal code, =county,
        =district, =geography, =location, area code, customer city, customer state, city name,
        state name, =city tier, region name, service area, =area, territory, billing city,
        billing state, =community, state code
        """,
        never="ip lat latitude long longitude population tier",
    ),
)
