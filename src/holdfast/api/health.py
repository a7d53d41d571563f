"""How the service and what it depends on are. Looked after in the background: a probe only reads.

A database that hangs must not hang the probe that asks about it, so each dependency outside this process is
asked by a thread of its own, and one that has not answered for a while is down.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from holdfast.api.log import event
from holdfast.store import impatient, reading
from holdfast.store.tables import deployments

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.api.live import Live
    from holdfast.predictions import PredictionLog
    from holdfast.settings import Settings

CHECK_SECONDS = 2.0
"""How often each dependency is asked."""

ANSWER_SECONDS = 1.0
"""How long one may take for a step of its answer."""

PATIENCE_SECONDS = 3.0
"""How long one may take in all before it is down."""

State = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """How something is that the service depends on; ``reason`` is for people, without paths or secrets."""

    state: State
    reason: str | None = None
    required: bool = True
    """Whether predictions cannot be asked for without it."""

    def as_dict(self) -> dict[str, Any]:
        """For an answer."""
        return {"state": self.state, "reason": self.reason, "required": self.required}


class Check:
    """Asks one dependency again and again, in a thread of its own.

    Args:
        name: of the dependency, as a sentence begins with it.
        ask: returns if it is well; may take any time.
    """

    def __init__(self, name: str, ask: Callable[[], object]) -> None:
        self._name = name
        self._ask = ask
        self._failed: str | None = None
        self._asked: float | None = None
        """When the question that is not answered yet was put."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"check {name}", daemon=True)

    def start(self) -> None:
        """Ask for the first time."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more. Does not wait long for one that hangs."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)

    @property
    def trouble(self) -> str | None:
        """What is wrong with it, if anything is."""
        asked = self._asked
        if asked is not None and time.monotonic() - asked > PATIENCE_SECONDS:
            return f"{self._name} does not answer."
        return self._failed

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._asked = time.monotonic()
            try:
                self._ask()
            except Exception as error:  # noqa: BLE001 - however it fails, it is down; its words may name hosts
                self._found(f"{self._name} cannot be used.", type(error).__name__)
            else:
                self._found(None)
            self._asked = None
            self._stopped.wait(CHECK_SECONDS)

    def _found(self, failed: str | None, kind: str | None = None) -> None:
        if failed != self._failed:
            _tell(self._name, "ok" if failed is None else "down", kind=kind)
        self._failed = failed


class Health:
    """What probes are told.

    Args:
        live: the model.
        settings: of this installation.
        engine: its database.
        log: where predictions are written.

    Attributes:
        draining: set when the server was told to stop: finish what has begun, send nothing new.
    """

    def __init__(self, live: Live, settings: Settings, engine: sa.Engine, log: PredictionLog) -> None:
        self.draining = False
        self._live = live
        self._log = log
        self._log_was: State = "ok"
        # With `async` the spool takes over while the database is away.
        self._strict = settings.durability == "ack"
        self._engine = impatient(engine, ANSWER_SECONDS)
        self._database = Check("The database", self._read)
        self._redis = None
        if settings.redis_url is not None:
            self._redis = Check("Redis", _pinging(settings.redis_url.get_secret_value()))

    def start(self) -> None:
        """Begin to look after the dependencies."""
        for check in self._checks():
            check.start()

    def close(self) -> None:
        """Stop looking."""
        for check in self._checks():
            check.close()
        self._engine.dispose()

    def dependencies(self) -> dict[str, Dependency]:
        """Each dependency and how it is. Reads memory only."""
        found = {"model": self._model(), "database": self._of(self._database, required=self._strict)}
        found["log"] = self._log_now()
        if self._redis is not None:
            found["redis"] = self._of(self._redis, required=False)
        return found

    def status(self) -> Literal["ready", "degraded", "not ready", "draining"]:
        """All in one word; what is degraded answers."""
        found = self.dependencies().values()
        if self.draining:
            return "draining"
        if any(one.state == "down" and one.required for one in found):
            return "not ready"
        return "ready" if all(one.state == "ok" for one in found) else "degraded"

    def tell(self) -> None:
        """Say in the server's log when the predictions' log has changed. Called now and then."""
        found = self._log_now()
        if found.state != self._log_was:
            _tell("The log", found.state, reason=found.reason)
        self._log_was = found.state

    def _log_now(self) -> Dependency:
        state = self._log.state
        if not state.writable:
            return Dependency("down", state.reason, required=self._strict)
        if state.spooled:
            reason = "Predictions wait on this machine for the database."
            return Dependency("degraded", reason, required=self._strict)
        return Dependency("ok", required=self._strict)

    def _model(self) -> Dependency:
        trouble = self._live.trouble
        if self._live.current is not None:
            return Dependency("degraded", trouble.reason) if trouble else Dependency("ok")
        return Dependency("down", trouble.reason if trouble else "No model is in charge yet.")

    def _of(self, check: Check, *, required: bool) -> Dependency:
        trouble = check.trouble
        return Dependency("down" if trouble else "ok", trouble, required=required)

    def _read(self) -> None:
        with reading(self._engine) as connection:
            connection.detach()  # it ends with the question: the next is also whether we are let in
            connection.execute(sa.select(deployments.c.slot).limit(1)).all()

    def _checks(self) -> list[Check]:
        return [self._database, *([self._redis] if self._redis else [])]


def _tell(name: str, state: State, **why: str | None) -> None:
    level = logging.INFO if state == "ok" else logging.WARNING
    event("dependency", level=level, dependency=name.removeprefix("The ").lower(), state=state, **why)


def _pinging(url: str) -> Callable[[], object]:
    """Asks Redis. The client is not installed unless Redis is used."""
    from redis import Redis  # noqa: PLC0415 - as the docstring says
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    client = Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    return client.ping
