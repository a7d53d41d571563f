"""The model in charge: follows the registry's champion without a restart and without a failed request."""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from holdfast.api.built import open_features
from holdfast.api.intake import Intake
from holdfast.api.log import event, fault
from holdfast.api.problems import NoModelError
from holdfast.errors import HoldfastError
from holdfast.model import Model
from holdfast.registry import USE_ANOTHER, UnknownVersionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.history.live import LiveFeatures
    from holdfast.history.live_files import FileFeatures
    from holdfast.registry import Registry, Version
    from holdfast.settings import Settings

POLL_SECONDS = 0.25
RETRY_SECONDS = 5.0
"""How long a champion that could not be loaded is left alone; trying again and again takes the CPU away."""

LIBRARIES = ("xgboost", "lightgbm", "catboost")
"""What a version may need. Importing one takes a second, which nobody should wait for at a promotion."""

_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[/\\][^\s:;,'\"]+")
"""What looks like an absolute path; a name such as ``members/0.json`` does not."""

PREPARE_SECONDS = 2.0
"""How often to look for a new challenger."""

MOST_KEPT = 3
"""Models kept in memory, so that a rollback or the challenger's promotion needs no loading."""


@dataclass(frozen=True)
class Serving:
    """One version, ready to answer. A request holds one from its first to its last step."""

    model: Model
    intake: Intake
    features: LiveFeatures | FileFeatures | None = None
    """Builds the records of customers of whom only the id is sent, if it is known where."""

    @property
    def from_tables(self) -> bool:
        """Whether records of this model are built from the tables of a history."""
        return self.model.history is not None

    @cached_property
    def identity(self) -> bytes:
        """Tells this version from any other, also of other homes: hash of its label and manifest."""
        said = orjson.dumps([self.model.version, self.model.manifest])
        return blake2b(said, digest_size=32).digest()


@dataclass(frozen=True)
class Trouble:
    """Why the model that answers is not what the registry says it should be, in words without paths."""

    reason: str
    hint: str


UNREADABLE = Trouble("The registry cannot be read.", "The server's log says why.")
DETHRONED = Trouble("The registry names no champion any more.", "Name one: `holdfast models promote REF`.")


class Live:
    """Holds the `Serving` of the champion. One thread at a time may `refresh` and `prepare`; any may read.

    Args:
        registry: whose champion to follow.
        load: opens a version; `load_version` unless a test brings its own.
        settings: say where the tables are of which a model learned; without, whole records must be sent.

    Attributes:
        current: the model that answers, if there is one.
        trouble: why ``current`` is not what the registry says it should be, if it is not.
    """

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Version], Model] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.current: Serving | None = None
        self.trouble: Trouble | None = None
        self._registry = registry
        self._load = load or load_version
        self._settings = settings
        self._token: int | None = None
        self._retry_at = 0.0
        self._kept: dict[str, Serving] = {}
        self._unfit: set[str] = set()

    def serving(self) -> Serving:
        """The model that answers.

        Raises:
            NoModelError: there is none; says why, and what to do.
        """
        serving, trouble = self.current, self.trouble
        if serving is not None:
            return serving
        raise NoModelError(trouble.reason, trouble.hint) if trouble else NoModelError

    def refresh(self) -> None:
        """Look whether there is another champion, and if so, load it and let it answer. Never raises."""
        try:
            token = self._registry.champion_token()
        except HoldfastError as error:
            self._failed(UNREADABLE, error, pause=0.0)
            return
        if token == self._token and (self.trouble is None or time.monotonic() < self._retry_at):
            return
        try:
            version = self._registry.resolve("champion")
        except UnknownVersionError:
            # Without a token this is the normal state before the first training.
            self.trouble = DETHRONED if self.current else None
            self._token, self._retry_at = token, time.monotonic() + RETRY_SECONDS
            return
        except HoldfastError as error:
            self._failed(UNREADABLE, error, pause=0.0)
            return
        self._follow(version)
        self._token = token

    def prepare(self) -> None:
        """What is likely to be asked for soon: what a new day needs, and the challenger. Never raises."""
        if self.current is not None and self.current.features is not None:
            self.current.features.begin_day()
        try:
            version = self._registry.resolve("challenger")
        except HoldfastError:
            return
        if version.label in self._kept or version.label in self._unfit:
            return
        try:
            self._keep(self._open(version))
        except Exception as error:  # noqa: BLE001 - it answers nobody yet; its promotion will tell
            self._unfit.add(version.label)
            event("challenger", level=logging.WARNING, version=version.label, trouble=type(error).__name__)

    def _keep(self, serving: Serving) -> None:
        """Hold a model as the one used last; the one not used for longest goes, but never the champion."""
        self._kept.pop(serving.model.version, None)
        self._kept[serving.model.version] = serving
        for other in [v for v, held in self._kept.items() if held is not self.current][: -MOST_KEPT + 1]:
            _closed(self._kept.pop(other))

    def close(self) -> None:
        """Let go of connections to the tables."""
        for serving in [*self._kept.values(), *([self.current] if self.current else [])]:
            _closed(serving)

    def _follow(self, version: Version) -> None:
        started = time.perf_counter()
        try:
            serving = self._kept.get(version.label) or self._open(version)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new model, the old one must go on
            self._failed(_not_loaded(version, self.current, error), error, pause=RETRY_SECONDS)
            return
        before, self.current, self.trouble = self.current, serving, None
        for used in (before, serving):
            if used is not None:
                self._keep(used)
        event(
            "champion",
            version=version.label,
            before=before.model.version if before else None,
            seconds=time.perf_counter() - started,
        )

    def _open(self, version: Version) -> Serving:
        self._registry.verify(version.label)
        model = self._load(version)
        intake = Intake(model.contract)
        # One answer before the first customer's: libraries load and expressions compile at their first use.
        model.answer(model.conform(intake.take([intake.example]).table))
        return Serving(model, intake, open_features(model, self._settings))

    def _failed(self, trouble: Trouble, error: Exception, *, pause: float) -> None:
        new = trouble != self.trouble
        self.trouble, self._retry_at = trouble, time.monotonic() + pause
        if isinstance(error, HoldfastError) and new:
            event("trouble", level=logging.ERROR, code=error.code, reason=error.message, where=error.where)
        elif new:
            fault(error)


def _closed(serving: Serving) -> None:
    if serving.features is not None:
        serving.features.close()


def _not_loaded(version: Version, current: Serving | None, error: Exception) -> Trouble:
    goes_on = f"{current.model.version} goes on" if current else "no model answers"
    said = f"{version.label} could not be loaded; {goes_on}."
    if not isinstance(error, HoldfastError):  # its words are not made for people, and may hold data
        return Trouble(f"{said} The server's log says why.", USE_ANOTHER)
    return Trouble(f"{said} {_without_paths(error.message, version.path)}", USE_ANOTHER)


def _without_paths(words: str, folder: Path) -> str:
    """An error's words as anybody may read them: where the files are is nobody's business.

    >>> _without_paths("/srv/my models/1/a.json: no b/c.json, see /etc/x.", Path("/srv/my models/1"))
    'its folder/a.json: no b/c.json, see …'
    """
    return _PATH.sub("…", words.replace(str(folder), "its folder"))


def import_libraries() -> None:
    """Import what the next version may need. A library that fails here fails again where it is needed."""
    for name in LIBRARIES:
        with suppress(Exception):
            import_module(name)


def load_version(version: Version) -> Model:
    """Open a registered version."""
    return Model.load(Path(version.path), version=version.label)
