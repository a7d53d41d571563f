"""Versions, deployment slots, and the events that changed them.

Revision: v0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Create the registry's tables."""
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("recipe", sa.String(200), nullable=False),
        sa.Column(
            "path", sa.String(400), nullable=False, comment="relative to the home folder, with slashes"
        ),
        sa.Column("contract_digest", sa.String(64), nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("manifest_digest", sa.String(64), nullable=False, comment="SHA-256 of manifest.json"),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_versions"),
    )
    op.create_table(
        "deployment_events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(20), nullable=False, comment="register, promote or rollback"),
        sa.Column("slot", sa.String(20), nullable=False),
        sa.Column("from_version", sa.Integer),
        sa.Column("to_version", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_deployment_events"),
        sa.ForeignKeyConstraint(
            ["from_version"], ["versions.number"], name="fk_deployment_events_from_version"
        ),
        sa.ForeignKeyConstraint(["to_version"], ["versions.number"], name="fk_deployment_events_to_version"),
    )
    op.create_table(
        "deployments",
        sa.Column("slot", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("event", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_deployments"),
        sa.ForeignKeyConstraint(["version"], ["versions.number"], name="fk_deployments_version"),
        sa.ForeignKeyConstraint(["event"], ["deployment_events.id"], name="fk_deployments_event"),
    )


def downgrade() -> None:
    """Drop the registry's tables."""
    for table in ("deployments", "deployment_events", "versions"):
        op.drop_table(table)
