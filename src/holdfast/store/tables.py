"""The tables. A change here needs a migration beside it; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

CHAMPION = "champion"
CHALLENGER = "challenger"


class Moment(TypeDecorator[datetime]):
    """A time in UTC, always with its zone. SQLite has no zones, so it stores the UTC clock time."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To the database: UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a stored time needs its zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the database: UTC with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("recipe", sa.String(200), nullable=False),
    sa.Column("path", sa.String(400), nullable=False, comment="relative to the home folder, with slashes"),
    sa.Column("contract_digest", sa.String(64), nullable=False),
    sa.Column("data_digest", sa.String(64), nullable=False),
    sa.Column("manifest_digest", sa.String(64), nullable=False, comment="SHA-256 of manifest.json"),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("created", Moment, nullable=False),
)
"""Every model that was ever registered. Rows are added, never changed."""

events = sa.Table(
    "deployment_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("action", sa.String(20), nullable=False, comment="register, promote or rollback"),
    sa.Column("slot", sa.String(20), nullable=False),
    sa.Column("from_version", sa.Integer, sa.ForeignKey("versions.number")),
    sa.Column("to_version", sa.Integer, sa.ForeignKey("versions.number")),
)
"""What was put into which slot, when, and what it took the place of. Rows are added, never changed."""

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("slot", sa.String(20), primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("versions.number"), nullable=False),
    sa.Column("event", sa.Integer, sa.ForeignKey("deployment_events.id"), nullable=False),
)
"""What is in the slots `CHAMPION` and `CHALLENGER` now, and the event that put it there."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False, comment="hash of the row before"),
    sa.Column("hash", sa.String(64), nullable=False),
)
"""Who changed what, and when. Rows are added, never changed; each holds the hash of the one before."""

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
"""One row: the newest of `audit`. Whoever adds one locks it; its number tells that something changed."""

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, comment="UUID of version 7: sorts by time"),
    sa.Column("request", sa.String(36), nullable=False, index=True, comment="one for all of a batch"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("customer_id", sa.Text, index=True),
    sa.Column("as_of", Moment, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("slot", sa.String(20), nullable=False, comment="champion or challenger"),
    sa.Column("record", sa.Text, nullable=False, comment="JSON, as it was scored"),
    sa.Column("probability", sa.Float(53), nullable=False),
    sa.Column("threshold", sa.Float(53), nullable=False),
    sa.Column("will_churn", sa.Boolean, nullable=False),
    sa.Column("latency_ms", sa.Float(53), nullable=False),
    sa.Column("key_id", sa.String(60), comment="who asked; none on this machine without credentials"),
    sa.Column("correlation_id", sa.String(128), nullable=False),
)
"""Every answered prediction of the last days. Rows are added; retention and erasure remove them."""

replies = sa.Table(
    "replies",
    metadata,
    sa.Column(
        "scope", sa.String(64), primary_key=True, comment="SHA-256 of caller, route and Idempotency-Key"
    ),
    sa.Column("body_digest", sa.String(64), nullable=False, comment="SHA-256 of the request's body"),
    sa.Column("request", sa.String(36), nullable=False, index=True),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
"""Answers to requests with an Idempotency-Key, to be given again byte for byte."""

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("customer_hash", sa.String(64), primary_key=True, comment="keyed hash of the customer's id"),
    sa.Column("at", Moment, nullable=False),
)
"""Customers who were erased. What was recorded of them before ``at`` may not come back."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(20), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the key"),
    sa.Column("rate", sa.Integer, comment="requests a minute, where not the usual"),
    sa.Column("created", Moment, nullable=False),
    sa.Column("expires", Moment),
    sa.Column("revoked", Moment),
)
"""Programs that may ask."""

ROLES = ("viewer", "scorer", "analyst", "operator", "admin")
"""What callers may be, lowest first; `holdfast.access.Role` says what each may do."""

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("password", sa.String(200), nullable=False, comment="argon2"),
    sa.Column("created", Moment, nullable=False),
    sa.Column("disabled", Moment),
)
"""People who may ask."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user", sa.String(100), sa.ForeignKey("users.name"), nullable=False),
    sa.Column(
        "hash", sa.String(64), nullable=False, comment="SHA-256 of the refresh token that is valid now"
    ),
    sa.Column("created", Moment, nullable=False),
    sa.Column("expires", Moment, nullable=False),
    sa.Column("ended", Moment),
)
"""Logins. Each refresh replaces the token; the old one used again ends the session."""

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False, index=True),
    sa.Column("created", Moment, nullable=False),
    sa.Column("file", sa.String(200), nullable=False, comment="what the client called it; never opened"),
    sa.Column("kind", sa.String(10), nullable=False, comment="csv or parquet"),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("reasons", sa.Integer, nullable=False, comment="how many to give with each answer"),
    sa.Column("format", sa.String(10), nullable=False, comment="of the answers: csv or parquet"),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("done", sa.Float(53), nullable=False, comment="share, 0 to 1"),
    sa.Column("started", Moment),
    sa.Column("finished", Moment),
    sa.Column("summary", sa.JSON),
    sa.Column("error", sa.JSON),
)
"""Files that were sent to be scored."""
