"""The registry: rows for decisions, folders for files, one transaction for each change."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.audit import hold, record
from holdfast.disk import make_private_folder, scratch
from holdfast.errors import HoldfastError
from holdfast.registry import files
from holdfast.registry.export import pack
from holdfast.registry.version import (
    USE_ANOTHER,
    NoEarlierChampionError,
    Promotion,
    RegistryError,
    Version,
    pick,
)
from holdfast.store import database_file, open_store, reading, store_exists, writing
from holdfast.store.tables import CHALLENGER, CHAMPION, deployments, events, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MANIFEST = "manifest.json"


class Registry:
    """All versions of one home folder. Safe to share between threads and processes.

    Looking at a home that does not exist finds nothing and creates nothing.

    Args:
        home: where Holdfast keeps its state.
        actor: in whose name changes are written into the audit trail.
        verify: checks the files in a version's folder against its manifest and raises a `HoldfastError`;
            `holdfast.model.artefact.verify` unless a test brings its own.
        engine: the database, where the caller has it open already; then it is the caller's to close.
    """

    def __init__(
        self,
        home: Path,
        *,
        actor: str = "python",
        verify: Callable[[Path], object] | None = None,
        engine: sa.Engine | None = None,
    ) -> None:
        self.home = Path(home)
        self._actor = actor
        self._verify = verify or _verify_artefact
        self._engine, self._own = engine, engine is None
        self._opening = Lock()

    @property
    def engine(self) -> sa.Engine:
        """The database, opened, and made where there is none."""
        return self._open()

    def close(self) -> None:
        """Give the database's connections back."""
        if self._engine is not None and self._own:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new empty folder to write an artefact in, on the registry's own disk.

        What is in it at the end is removed, unless `register` has taken the folder. What killed
        trainings left goes first.
        """
        with ExitStack() as stack:
            try:
                make_private_folder(self.home)
                folder = stack.enter_context(scratch(self.home / "staging", ""))
            except OSError as error:
                raise RegistryError(
                    f"Cannot write to the home folder: {error.strerror or error}.", where=str(self.home)
                ) from error
            yield folder

    def register(
        self,
        staged: Path,
        *,
        name: str,
        recipe: str,
        contract_digest: str,
        data_digest: str,
        metrics: dict[str, Any],
        created: datetime | None = None,
    ) -> Version:
        """Take a finished artefact folder over as the next version.

        The first version becomes champion, each later one the challenger. Killed at any point, the registry
        is as it was: at most a folder without a row is left, and the next registration removes it.

        Args:
            staged: the folder, with its ``manifest.json``; moved, and gone afterwards.
            name: the model's name (the contract's), also the name of a folder.
            recipe: what kind of model it is, in few words.
            contract_digest: SHA-256 of the contract.
            data_digest: SHA-256 of the training data.
            metrics: what it reached on its test split; plain JSON types, no NaN.
            created: with its zone; now, unless given.

        Raises:
            RegistryError: the folder is no finished artefact, or cannot be moved.
            StoreError: the database failed.
        """
        row = {
            "name": name,
            "recipe": recipe,
            "contract_digest": contract_digest,
            "data_digest": data_digest,
            "manifest_digest": _manifest_digest(staged),
            "metrics": _plain(metrics),
            "created": created or datetime.now(UTC),
        }
        if not name or Path(name).name != name or name.startswith("."):
            raise RegistryError(f'"{name}" cannot be the name of a folder.')
        engine = self._open()
        target: Path | None = None
        try:
            files.settle(staged)
            with writing(engine) as connection:
                hold(connection)
                number = (connection.scalar(sa.select(sa.func.max(versions.c.number))) or 0) + 1
                self._insist_on_own_files(number)
                files.sweep_orphans(self.home / "artefacts", number)
                path = f"artefacts/{name}/{number}"
                target = self.home / path
                files.move(staged, target)
                connection.execute(sa.insert(versions).values(number=number, path=path, **row))
                slot = CHALLENGER if _deployed(connection, CHAMPION) else CHAMPION
                _deploy(connection, slot, number, "register")
                record(connection, self._actor, "models.register", f"v{number}", {"slot": slot})
        except BaseException as error:
            if target is not None:
                self._take_back(target, staged)
            if isinstance(error, OSError):
                reason = f"The artefact cannot be stored: {error.strerror or error}."
                raise RegistryError(reason, where=str(self.home), hint="Check the free space.") from error
            raise
        return self.resolve(str(number))

    def list(self) -> Sequence[Version]:
        """Every version, oldest first."""
        engine = self._existing()
        if engine is None:
            return []
        with reading(engine) as connection:
            return self._versions(connection)

    def resolve(self, ref: str) -> Version:
        """The version that ``ref`` means: ``champion``, ``challenger``, ``3`` or ``v3``.

        Raises:
            UnknownVersionError: there is none; names those that there are.
        """
        return pick(self.list(), ref)

    def promote(self, ref: str) -> Promotion:
        """Make a version champion, after its files were verified. The champion stays what it is.

        Raises:
            UnknownVersionError: there is no such version.
            HoldfastError: its files are damaged; nothing was changed.
        """
        number = self.verify(ref).number
        with writing(self._open()) as connection:
            hold(connection)
            before = _deployed(connection, CHAMPION)
            if before != number:
                _deploy(connection, CHAMPION, number, "promote")
                record(connection, self._actor, "models.promote", f"v{number}", {"before": before})
            return self._promotion(connection, number, before)

    def rollback(self) -> Promotion:
        """Make the champion's predecessor champion again; repeated, it goes further back.

        Raises:
            UnknownVersionError: there is no version, or (`NoEarlierChampionError`) no earlier champion.
            HoldfastError: the predecessor's files are damaged; nothing was changed.
        """
        self.resolve(CHAMPION)
        with writing(self._open()) as connection:
            hold(connection)
            *former, champion = _reign(connection)
            if not former:
                raise NoEarlierChampionError(
                    f"There is no earlier champion; v{champion} is the first.",
                    hint="Promote a version instead: holdfast models promote REF",
                )
            self._check(pick(self._versions(connection), str(former[-1])))
            _deploy(connection, CHAMPION, former[-1], "rollback")
            record(connection, self._actor, "models.rollback", f"v{former[-1]}", {"before": champion})
            return self._promotion(connection, former[-1], champion)

    def verify(self, ref: str) -> Version:
        """Recompute every checksum: each file against the manifest, the manifest against its row.

        Raises:
            UnknownVersionError: there is no such version.
            HoldfastError: a file was changed, removed, added or replaced by a link; names it.
        """
        version = self.resolve(ref)
        self._check(version)
        return version

    def export(self, ref: str, destination: Path) -> Version:
        """Copy a verified version to a new folder, ``.tar.gz`` or ``.zip``; same version, same bytes.

        Raises:
            UnknownVersionError: there is no such version.
            UsageError: ``destination`` exists.
            HoldfastError: the version's files are damaged, or the copy cannot be written.
        """
        version = self.verify(ref)
        pack(version.path, destination, root=f"{version.name}-{version.label}")
        return version

    def champion_token(self) -> int | None:
        """Changes whenever the champion does; none without one. Cheap enough to poll (one row by key)."""
        engine = self._existing()
        if engine is None:
            return None
        with reading(engine) as connection:
            token: int | None = connection.scalar(_TOKEN)
            return token

    def _open(self) -> sa.Engine:
        with self._opening:  # two threads that both opened would lose an engine and its connections
            if self._engine is None:
                self._engine = open_store(self.home)
            return self._engine

    def _existing(self) -> sa.Engine | None:
        return self._open() if self._engine is not None or store_exists(self.home) else None

    def _versions(self, connection: sa.Connection) -> Sequence[Version]:
        slots = {version: slot for slot, version in connection.execute(_SLOTS)}
        rows = connection.execute(sa.select(versions).order_by(versions.c.number)).mappings()
        return [
            Version(**row | {"path": self.home / row["path"], "status": slots.get(row["number"], "retired")})
            for row in map(dict, rows)
        ]

    def _promotion(self, connection: sa.Connection, number: int, before: int | None) -> Promotion:
        found = {version.number: version for version in self._versions(connection)}
        return Promotion(found[number], None if before is None else found[before])

    def _insist_on_own_files(self, number: int) -> None:
        """A first version sweeps all others' folders, which must not be those that another database knows.

        Raises:
            RegistryError: the home's own SQLite file has versions, and this is another database.
        """
        if number > 1 or self.engine.dialect.name == "sqlite":
            return
        if database_file(self.home).exists() and any((self.home / "artefacts").glob("*/*")):
            raise RegistryError(
                "This home has versions that the database does not know.",
                where=str(self.home),
                hint="Bring them over (holdfast db backup, then db restore), or choose another --home.",
            )

    def _check(self, version: Version) -> None:
        if not version.path.is_dir() or version.path.is_symlink():
            raise RegistryError(
                f"The files of {version.label} are gone.", where=str(version.path), hint=_RESTORE
            )
        if _manifest_digest(version.path) != version.manifest_digest:
            raise RegistryError(
                f"The manifest of {version.label} is not the one that was registered.",
                where=str(version.path / MANIFEST),
                hint=_RESTORE,
            )
        try:
            self._verify(version.path)
        except HoldfastError as error:
            error.hint = f"{error.hint} {USE_ANOTHER}" if error.hint else USE_ANOTHER
            raise

    def _take_back(self, target: Path, staged: Path) -> None:
        """Undo the move of a registration that failed, unless its row was committed after all.

        Under the write lock, for otherwise another process could be given the same number in between. What
        cannot be undone is an orphan, which the next registration sweeps.
        """
        with suppress(HoldfastError, OSError), writing(self._open()) as connection:
            hold(connection)
            taken = sa.select(versions.c.number).where(versions.c.number == int(target.name))
            if connection.scalar(taken) is None and not staged.exists():
                target.rename(staged)


_RESTORE = f"Restore it from a copy. {USE_ANOTHER}"
_SLOTS = sa.select(deployments.c.slot, deployments.c.version)
_TOKEN = sa.select(deployments.c.event).where(deployments.c.slot == CHAMPION)


def _verify_artefact(folder: Path) -> None:
    from holdfast.model.artefact import verify  # noqa: PLC0415 - looking at versions needs no model

    verify(folder)


def _plain(metrics: dict[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(metrics, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"The metrics cannot be stored: {error}.") from error
    return plain


def _manifest_digest(folder: Path) -> str:
    try:
        return files.digest(folder / MANIFEST)
    except OSError as error:
        raise RegistryError(f"The artefact has no readable {MANIFEST}.", where=str(folder)) from error


def _deployed(connection: sa.Connection, slot: str) -> int | None:
    found: int | None = connection.scalar(sa.select(deployments.c.version).where(deployments.c.slot == slot))
    return found


def _deploy(connection: sa.Connection, slot: str, number: int, action: str) -> None:
    """Put a version into a slot (out of any other) and write down that it happened."""
    before = _deployed(connection, slot)
    event = sa.insert(events).values(
        at=datetime.now(UTC), action=action, slot=slot, from_version=before, to_version=number
    )
    made = connection.execute(event).inserted_primary_key
    if made is None:  # pragma: no cover - every dialect we use returns it
        raise RegistryError("The database did not number the event.")
    emptied = sa.or_(deployments.c.slot == slot, deployments.c.version == number)
    connection.execute(sa.delete(deployments).where(emptied))
    connection.execute(sa.insert(deployments).values(slot=slot, version=number, event=made[0]))


def _reign(connection: sa.Connection) -> list[int]:
    """The champions that led to the present one, oldest first: promotions add one, rollbacks drop one."""
    query = (
        sa.select(events.c.action, events.c.to_version).where(events.c.slot == CHAMPION).order_by(events.c.id)
    )
    reign: list[int] = []
    for action, number in connection.execute(query):
        if action == "rollback":
            reign.pop()
        else:
            reign.append(number)
    return reign
