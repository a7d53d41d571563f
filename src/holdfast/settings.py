"""What an operator may set: one typed class, read from ``HOLDFAST_*``, ``.env`` and files of secrets.

A setting belongs to the installation; what belongs to the business stands in the contract.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "HOLDFAST_"
SECRETS_VARIABLE = "HOLDFAST_SECRETS_DIR"
SECRET_FILE = "secret"  # noqa: S105 - the name of a file
SHORTEST_SECRET = 32

Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Every setting, its default and its bounds. Frozen: a change needs a restart."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(Path(".holdfast"), description="Where models and state live.")
    database_url: SecretStr | None = Field(
        None, description="postgresql://user@host/name; without it, a SQLite file in the home folder."
    )
    redis_url: SecretStr | None = Field(
        None, description="redis://host:6379/0: cache and rate limits are shared through it."
    )
    secret: SecretStr | None = Field(
        None,
        min_length=SHORTEST_SECRET,
        description="Signs tokens and hashes customer ids. Without it, one of this home's own is made.",
    )

    host: str = Field("127.0.0.1", description="Address to answer on.")
    port: int = Field(8_000, ge=0, le=65_535, description="Port to answer on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer.")
    allowed_hosts: Names = Field((), description="Names that this server is known by, beside localhost.")
    cors_origins: Names = Field((), description="Origins of web pages that may ask, such as https://a.b.")
    drain_seconds: float = Field(30, ge=0, le=600, description="For requests under way at a stop.")

    durability: Literal["ack", "async"] = Field(
        "ack", description="Whether an answer leaves after it was logged (ack) or before (async)."
    )
    log_queue: int = Field(10_000, ge=1, description="Answers that async may have waiting to be logged.")
    retention_days: int = Field(90, ge=1, description="Days until logged predictions are archived.")
    idempotency_hours: int = Field(24, ge=24, description="Hours that an Idempotency-Key is remembered.")

    batch_rows: int = Field(256, ge=1, le=10_000, description="Customers that are scored together at most.")
    batch_wait_ms: float = Field(
        0, ge=0, le=100, description="Milliseconds to wait for more customers while others are under way."
    )
    queue_rows: int = Field(4_096, ge=1, description="Customers that may wait to be scored.")
    request_seconds: float = Field(10, gt=0, le=300, description="Longest that a request may take.")
    max_body_mib: float = Field(8, gt=0, le=100, description="Largest body of a request.")
    rate_limit: int = Field(1_000, ge=1, description="Requests a minute of one key, unless it has its own.")
    cache_seconds: float = Field(300, ge=0, description="How long an answer is kept; 0 keeps none.")
    cache_entries: int = Field(50_000, ge=1, description="Answers kept in memory at most.")

    access_minutes: float = Field(15, gt=0, le=1_440, description="Life of an access token.")
    refresh_days: float = Field(14, gt=0, le=365, description="Life of a refresh token.")
    oidc_issuer: str | None = Field(None, description="Issuer whose tokens are taken, as an https URL.")
    oidc_audience: str | None = Field(None, description="Audience that those tokens must name.")
    oidc_role_claim: str = Field("roles", description="Claim that names the role.")

    job_mib: int = Field(2_048, ge=1, description="Largest file of POST /jobs/score.")
    jobs_per_key: int = Field(4, ge=1, description="Jobs that one key may have waiting or running.")
    job_days: int = Field(7, ge=1, description="Days that a finished job's files are kept.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    otlp_endpoint: str | None = Field(None, description="Where traces go, as an OTLP/HTTP URL.")


def load_settings(**given: object) -> Settings:
    """The settings of this process: ``given`` first, then environment, ``.env``, secret files, defaults.

    Raises:
        UsageError: a value is wrong; names the key and what to write.
    """
    folder = os.environ.get(SECRETS_VARIABLE)
    try:
        return Settings(_secrets_dir=folder, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first, *others = list(wrong_settings(error))
        more = f" {len(others)} more: see holdfast config check." if others else ""
        raise UsageError(f"{first}{more}", hint="holdfast config check names each wrong setting.") from error


def wrong_settings(error: ValidationError) -> Iterator[str]:
    """One sentence for each wrong setting, never with its value."""
    for detail in error.errors(include_url=False, include_input=False):
        name = PREFIX + str(detail["loc"][0]).upper() if detail["loc"] else PREFIX
        yield f"{name} is wrong: {detail['msg']}."


def secret_of(settings: Settings) -> bytes:
    """The installation's secret: the one that is set, or this home's own, made at first use.

    Raises:
        UsageError: the home folder cannot be written to.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.home / SECRET_FILE
    try:
        if not path.exists():
            settings.home.mkdir(parents=True, exist_ok=True)
            made = settings.home / f".{SECRET_FILE}.{secrets.token_hex(8)}"
            with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(made, path)  # the first of several processes wins, and no reader sees half of it
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"This home's secret cannot be read or made: {error.strerror or error}.",
            where=str(path),
            hint="Check who owns the home folder, or set HOLDFAST_SECRET.",
        ) from error
