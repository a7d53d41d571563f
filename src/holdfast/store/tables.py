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
