"""``holdfast config``: what is set, where it comes from, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.session import Group, Session, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.settings import Settings

config = Group("Show and check the settings: HOLDFAST_* variables, .env and secrets. Alone, it shows them.")

PATIENCE_SECONDS = 5
"""How long Redis may take to answer."""


@command("holdfast config show")
def show(session: Session) -> None:
    """Show each setting, its value and where that comes from. Secrets are told as set or not set."""
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    shown = _shown(session)
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "from", "what it sets"):
        table.add_column(heading)
    for one in shown:
        value = ", ".join(one["value"]) if isinstance(one["value"], list) else str(one["value"])
        style = None if one["from"] == "default" else "bold"
        table.add_row(Text(one["name"]), Text(value), one["from"], Text(one["description"]), style=style)
    session.answer({"settings": shown}, table)


@command("holdfast config check", "holdfast config check --connect")
def check(
    session: Session,
    *,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask database, Redis and source whether they answer.")
    ] = False,
) -> None:
    """Name each wrong or unknown setting and what to write instead. Exit code 2 if there is one.

    With --connect, exit code 1 if the database, Redis or the source does not answer, or the database's schema
    is not this Holdfast's.
    """
    wrong = _wrong(session)
    document: dict[str, Any] = {"wrong": wrong}
    said = wrong or ["The settings are right."]
    unreachable = []
    if connect and not wrong:
        found = dict(_connections(session.settings))
        unreachable = [name for name, trouble in found.items() if trouble is not None]
        document["connections"] = {
            name: {"ok": trouble is None, "error": trouble and trouble.as_dict()}
            for name, trouble in found.items()
        }
        said += [f"{name}: {trouble or 'answers'}" for name, trouble in found.items()]
    session.answer({"ok": not wrong and not unreachable} | document, *map(_plain, said))
    if wrong or unreachable:
        raise typer.Exit(UsageError.exit_code if wrong else HoldfastError.exit_code)


for _command in (show, check):
    _command.add_to(config)
config.alone = show


def _shown(session: Session) -> list[dict[str, Any]]:
    """Each setting with its value in JSON types, and nothing of a secret but whether it is set."""
    from pydantic import SecretStr  # noqa: PLC0415 - help must not wait for it

    from holdfast.settings import PREFIX, Settings, origins  # noqa: PLC0415 - as above

    settings = session.settings
    plain, known = settings.model_dump(mode="json"), origins()
    shown = []
    for name, field in Settings.model_fields.items():
        value = plain[name]
        if SecretStr in getattr(field.annotation, "__args__", ()):
            value = "not set" if getattr(settings, name) is None else "set"
        origin = "--home" if name == "home" and session.given_home else known.get(name, "default")
        shown.append(
            {"name": PREFIX + name.upper(), "value": value, "from": origin, "description": field.description}
        )
    return shown


def _wrong(session: Session) -> list[str]:
    from pydantic import ValidationError  # noqa: PLC0415 - help must not wait for it

    from holdfast.settings import unknown_settings, wrong_settings  # noqa: PLC0415 - as above

    try:
        _ = session.settings
    except UsageError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        return [*wrong_settings(error.__cause__), *unknown_settings()]
    return list(unknown_settings())


def _connections(settings: Settings) -> Iterator[tuple[str, HoldfastError | None]]:
    """What the settings name, and what is wrong with it, if anything."""
    from holdfast.store import database_file, open_store  # noqa: PLC0415 - help must not wait for it

    if settings.database_url is not None or database_file(settings.home).exists():
        try:
            open_store(settings.home).dispose()
        except HoldfastError as error:
            yield "database", error
        else:
            yield "database", None
    if settings.redis_url is not None:
        yield "redis", _redis_trouble(settings.redis_url.get_secret_value())
    if settings.source_url is not None:
        yield "source", _source_trouble(settings)


def _source_trouble(settings: Settings) -> HoldfastError | None:
    from holdfast.sources import list_tables  # noqa: PLC0415 - as above

    once = settings.model_copy(update={"source_retries": 0})
    try:
        list_tables(settings.source_url.get_secret_value() if settings.source_url else "", once)
    except HoldfastError as error:
        return error
    return None


def _redis_trouble(url: str) -> HoldfastError | None:
    try:
        from redis import Redis  # noqa: PLC0415 - an extra, for who uses it
        from redis.exceptions import RedisError  # noqa: PLC0415 - as above
    except ImportError:
        return UsageError(
            "Redis needs a driver that is not installed.", hint="Install it: pip install 'holdfast[redis]'"
        )
    try:
        with Redis.from_url(
            url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS
        ) as client:
            client.ping()
    except (RedisError, ValueError, OSError) as error:
        return HoldfastError(
            f"Redis does not answer ({type(error).__name__}).",
            hint="Check HOLDFAST_REDIS_URL, and that Redis runs there. Until then processes share nothing.",
        )
    return None


def _plain(text: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    return Text(text)
