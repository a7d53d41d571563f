"""The service: who may ask, what was answered, who was erased, files to score, and the audit trail.

Revision: v0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    """Create the service's tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the key"),
        sa.Column("rate", sa.Integer, comment="requests a minute, where not the usual"),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("revoked", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False, comment="hash of the row before"),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.String(200), nullable=False, comment="what the client called it; never opened"),
        sa.Column("kind", sa.String(10), nullable=False, comment="csv or parquet"),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("reasons", sa.Integer, nullable=False, comment="how many to give with each answer"),
        sa.Column("format", sa.String(10), nullable=False, comment="of the answers: csv or parquet"),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("done", sa.Float(53), nullable=False, comment="share, 0 to 1"),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("summary", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_owner", "jobs", ["owner"])
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(36), nullable=False, comment="UUID of version 7: sorts by time"),
        sa.Column("request", sa.String(36), nullable=False, comment="one for all of a batch"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Text),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_customer_id", "predictions", ["customer_id"])
    op.create_index("ix_predictions_request", "predictions", ["request"])
    op.create_table(
        "replies",
        sa.Column(
            "scope", sa.String(64), nullable=False, comment="SHA-256 of caller, route and Idempotency-Key"
        ),
        sa.Column("body_digest", sa.String(64), nullable=False, comment="SHA-256 of the request's body"),
        sa.Column("request", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_replies"),
    )
    op.create_index("ix_replies_at", "replies", ["at"])
    op.create_index("ix_replies_request", "replies", ["request"])
    op.create_table(
        "tombstones",
        sa.Column("customer_hash", sa.String(64), nullable=False, comment="keyed hash of the customer's id"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_hash", name="pk_tombstones"),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("password", sa.String(200), nullable=False, comment="argon2"),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user", sa.String(100), nullable=False),
        sa.Column(
            "hash", sa.String(64), nullable=False, comment="SHA-256 of the refresh token that is valid now"
        ),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_sessions_user"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    head = sa.table("audit_head", sa.column("id"), sa.column("number"), sa.column("hash"))
    op.bulk_insert(head, [{"id": 1, "number": 0, "hash": "0" * 64}])


def downgrade() -> None:
    """Drop the service's tables."""
    op.drop_table("sessions")
    op.drop_table("users")
    op.drop_table("tombstones")
    op.drop_index("ix_replies_request", table_name="replies")
    op.drop_index("ix_replies_at", table_name="replies")
    op.drop_table("replies")
    op.drop_index("ix_predictions_request", table_name="predictions")
    op.drop_index("ix_predictions_customer_id", table_name="predictions")
    op.drop_table("predictions")
    op.drop_index("ix_jobs_owner", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("api_keys")
