"""What an operator may set: one typed class, read from ``HOLDFAST_*``, ``.env`` and files of secrets.

A setting belongs to the installation; what belongs to the business stands in the contract.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from holdfast.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationInfo

PREFIX = "HOLDFAST_"
ENV_FILE = ".env"
SECRETS_VARIABLE = "HOLDFAST_SECRETS_DIR"
SECRET_FILE = "secret"  # noqa: S105 - the name of a file
SHORTEST_SECRET = 32

_OF_KUBERNETES = re.compile(r"HOLDFAST_(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)")
"""What Kubernetes sets in every container beside a service that is called "holdfast"."""


def _split(value: object) -> object:
    """Names are written with commas between them."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or f"{parts.scheme}://{parts.netloc}" != value
    ):
        raise ValueError(f"an origin is a scheme and a host such as https://crm.example.com, not {value!r}")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("a host is a name or an address alone, such as crm.example.com or 127.0.0.1")
    return value


def _master(value: str) -> str:
    if not _MASTER.fullmatch(value):
        raise ValueError("a master is local[*], local[4], spark://host:7077, yarn or k8s://https://host:443")
    return value


_MASTER = re.compile(r"local(\[(\*|[1-9]\d*)\])?|spark://[\w.:,\[\]-]+:\d+|yarn|k8s://\S+")

_HOST = re.compile(r"[\w.-]+|(?P<open>\[)?(?=.*:.*:)[0-9a-fA-F:.]+(%[\w.-]+)?(?(open)\])")
"""A name or an address of IPv4, or one of IPv6, with or without brackets: no scheme, port or path."""

Host = Annotated[str, AfterValidator(_host)]
Names = Annotated[tuple[Host, ...], NoDecode, BeforeValidator(_split)]
SparkMaster = Annotated[str, AfterValidator(_master)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Every setting, its default and its bounds. Frozen: a change needs a restart."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        dotenv_filtering="only_existing",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
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

    host: Host = Field("127.0.0.1", description="Address to answer on.")
    port: int = Field(8_000, ge=0, le=65_535, description="Port to answer on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer.")
    allowed_hosts: Names = Field((), description="Names that this server is known by, beside localhost.")
    cors_origins: Origins = Field((), description="Origins of web pages that may ask, such as https://a.b.")
    drain_seconds: float = Field(30, ge=0, le=600, description="For requests under way at a stop.")
    linger_seconds: float = Field(
        0, ge=0, le=600, description="To go on answering at a stop, with /readyz red: what balancers need."
    )

    durability: Literal["ack", "async"] = Field(
        "ack", description="Whether an answer leaves after it was logged (ack) or before (async)."
    )
    log_queue: int = Field(10_000, ge=1, description="Answers that async may have waiting to be logged.")
    retention_days: int = Field(90, ge=1, description="Days until logged predictions are archived.")
    idempotency_hours: int = Field(24, ge=24, description="Hours that an Idempotency-Key is remembered.")

    batch_rows: int = Field(256, ge=1, le=10_000, description="Customers that are scored together at most.")
    batch_wait_ms: float = Field(
        1, ge=0, le=100, description="Milliseconds at most to wait for those who asked a moment ago."
    )
    queue_rows: int = Field(
        2_048, ge=1, description="Customers that may be under way at a time; in batches four times as many."
    )
    request_seconds: float = Field(10, gt=0, le=300, description="Longest that a request may take.")
    max_body_mib: float = Field(8, gt=0, le=100, description="Largest body of a request.")
    rate_limit: int = Field(1_000, ge=1, description="Requests a minute of one key, unless it has its own.")
    cache_seconds: float = Field(300, ge=0, description="How long an answer is kept; 0 keeps none.")
    cache_entries: int = Field(50_000, ge=1, description="Answers kept in memory at most.")

    access_minutes: float = Field(15, gt=0, le=1_440, description="Life of an access token.")
    refresh_days: float = Field(14, gt=0, le=365, description="Life of a refresh token.")
    oidc_issuer: str | None = Field(None, description="Issuer whose tokens are taken, as an https URL.")
    oidc_audience: str | None = Field(
        None, validate_default=True, description="Audience that those tokens must name."
    )
    oidc_role_claim: str = Field("roles", description="Claim that names the role.")

    job_mib: int = Field(2_048, ge=1, description="Largest file of POST /jobs/score.")
    jobs_per_key: int = Field(4, ge=1, description="Jobs that one key may have waiting or running.")
    job_days: int = Field(7, ge=1, description="Days that a finished job's files are kept.")
    memory_mib: int | None = Field(
        None, ge=256, description="Memory for building features; half of the machine's unless given."
    )

    spark_master: SparkMaster = Field(
        "local[*]", description="Where --engine spark runs: local[*], spark://host:7077, yarn or k8s://…."
    )

    source_url: SecretStr | None = Field(
        None, description="Database that tables of the data are read from: postgresql:// or mysql://."
    )
    source_retries: int = Field(
        6, ge=0, le=20, description="How often a source is asked again after a fault that may pass."
    )
    source_seconds: float = Field(
        1_800, ge=1, le=86_400, description="Longest that a database may take over one question of a source."
    )
    s3_endpoint: str | None = Field(
        None, description="Address of the store that s3:// means, where it is not Amazon's."
    )
    s3_region: str | None = Field(None, description="Its region; else AWS_DEFAULT_REGION, or us-east-1.")
    s3_access_key_id: SecretStr | None = Field(
        None, description="Key to it; else AWS_ACCESS_KEY_ID, ~/.aws, or the role of the machine."
    )
    s3_secret_access_key: SecretStr | None = Field(
        None, validate_default=True, description="The secret that belongs to the key."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    otlp_endpoint: str | None = Field(None, description="Where traces go, as an OTLP/HTTP URL.")

    @field_validator("database_url", "redis_url", "source_url", "s3_endpoint", "oidc_issuer", "otlp_endpoint")
    @classmethod
    def _has_a_scheme(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        """A URL that begins as none of ours does fails here, not at its first use; never quoted."""
        allowed = _SCHEMES[str(info.field_name)]
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        if url is not None and not url.startswith(tuple(f"{scheme}:" for scheme in allowed)):
            raise ValueError(f"it must begin with {' or '.join(f'{scheme}:' for scheme in allowed)}")
        if info.field_name == "oidc_issuer" and url is not None and not _is_private(url):
            raise ValueError("it must begin with https:, unless the issuer is on this machine")
        return value

    @field_validator("s3_secret_access_key")
    @classmethod
    def _belongs_to_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """One without the other would silently be another's credentials."""
        if (value is None) is not (info.data.get("s3_access_key_id") is None):
            raise ValueError("HOLDFAST_S3_ACCESS_KEY_ID and this are set together or not at all")
        return value

    @field_validator("oidc_audience")
    @classmethod
    def _belongs_to_the_issuer(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Without an audience every token of the issuer would do, whatever it was made for."""
        if value is None and info.data.get("oidc_issuer") is not None:
            raise ValueError("HOLDFAST_OIDC_ISSUER is set, so this must be too")
        return value


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read or change what is fetched from there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}


_SCHEMES = {
    "database_url": ("postgresql", "postgresql+psycopg", "postgres", "sqlite"),
    "redis_url": ("redis", "rediss", "unix"),
    "source_url": ("postgresql", "postgresql+psycopg", "postgres", "mysql", "mysql+pymysql", "mariadb"),
    "s3_endpoint": ("https", "http"),
    "oidc_issuer": (
        "https",
        "http",
    ),  # a plain one on this machine alone is for whoever checks tokens to judge
    "otlp_endpoint": ("https", "http"),
}


def load_settings(**given: object) -> Settings:
    """The settings of this process: ``given`` first, then environment, ``.env``, secret files, defaults.

    Raises:
        UsageError: a value is wrong; names the key and what to write.
    """
    try:
        return Settings(_secrets_dir=secrets_folder(), **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first, *others = list(wrong_settings(error))
        more = f" ({len(others)} more are wrong.)" if others else ""
        raise UsageError(f"{first}{more}", hint="holdfast config check names each wrong setting.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{ENV_FILE} cannot be read: {error}.", hint="Mend it or move it away.") from error


def secrets_folder() -> Path | None:
    """Where files of secrets are, if the environment says so: each is named after its variable.

    Raises:
        UsageError: there is no such folder.
    """
    named = os.environ.get(SECRETS_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{SECRETS_VARIABLE} is wrong: there is no such folder.", where=str(folder))
    return folder


def wrong_settings(error: ValidationError) -> Iterator[str]:
    """One sentence for each wrong setting, with what to write instead of its value."""
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0])
        reason = detail["msg"].removeprefix("Value error, ").rstrip(".")
        yield f"{PREFIX}{name.upper()} is wrong: {reason}. It sets: {Settings.model_fields[name].description}"


def origins() -> dict[str, str]:
    """Where the value of each setting comes from that has another than its default."""
    sources = {
        f"the folder {SECRETS_VARIABLE}": SecretsSettingsSource(Settings, secrets_folder()),
        ENV_FILE: DotEnvSettingsSource(Settings),
        "environment": EnvSettingsSource(Settings),
    }
    return {name: origin for origin, source in sources.items() for name in source()}  # the last one wins


def unknown_settings() -> Iterator[str]:
    """One sentence for each name that looks like a setting and is none."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {SECRETS_VARIABLE}
    in_file = DotEnvSettingsSource(Settings).env_vars
    folder = secrets_folder()
    in_folder = [path.name for path in folder.iterdir()] if folder else []
    for given in sorted({name.upper() for name in (*os.environ, *in_file, *in_folder)}):
        if given.startswith(PREFIX) and given not in known and not _OF_KUBERNETES.fullmatch(given):
            yield f"{given} is no setting. {nearest(given, sorted(known), most=1)}"


def secret_mark(secret: bytes) -> str:
    """Tells two secrets apart without telling anything of them."""
    return hmac.digest(secret, b"mark", "sha256").hex()[:16]


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
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
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
