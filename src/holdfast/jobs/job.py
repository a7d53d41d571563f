"""What a job is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

ENOUGH_TO_TELL = 0.01
"""Before this share is done, the time left is a guess."""


class State(StrEnum):
    """Where a job is. It goes down this list, and ends in one of the last three."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing further happens to it."""
        return self not in UNFINISHED


UNFINISHED = (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be scored, in the background."""

    id: str
    owner: str
    """Who sent it: a `holdfast.access.Caller.id`, or ``cli:`` and a user of this machine."""
    created: datetime
    file: str
    """What the sender calls it; to be shown, never opened."""
    kind: str
    """``csv`` (perhaps compressed) or ``parquet``."""
    bytes: int
    version: str
    """Of the model, such as ``v3``; set when the job was accepted."""
    reasons: int
    format: str
    """Of the answers: ``csv`` or ``parquet``."""
    state: State
    done: float
    """Share, 0 to 1."""
    started: datetime | None
    """Anew when a worker had to begin again."""
    finished: datetime | None
    summary: dict[str, Any] | None
    """`holdfast.scoring.FileSummary.as_dict` without paths and examples; of a job that is done."""
    error: dict[str, str] | None
    """`holdfast.errors.HoldfastError.as_dict` without paths; of a job that failed."""

    @property
    def seconds_left(self) -> float | None:
        """Until it is done, at its speed so far; none where that cannot be told."""
        if self.state != State.RUNNING or self.started is None or self.done < ENOUGH_TO_TELL:
            return None
        gone = (datetime.now(UTC) - self.started).total_seconds()
        return round(max(0.0, gone * (1 - self.done) / self.done), 1)

    @property
    def has_rejects(self) -> bool:
        """Whether there is a file of rejects."""
        return bool(self.summary and self.summary["rejected"])

    def as_dict(self) -> dict[str, Any]:
        """The job for machines, in plain JSON types."""
        return {
            "id": self.id,
            "state": str(self.state),
            "progress": round(self.done, 4),
            "seconds_left": self.seconds_left,
            "file": self.file,
            "bytes": self.bytes,
            "model_version": self.version,
            "reasons": self.reasons,
            "format": self.format,
            "owner": self.owner,
            "created": self.created.isoformat(),
            "started": self.started.isoformat() if self.started else None,
            "finished": self.finished.isoformat() if self.finished else None,
            "summary": self.summary,
            "error": self.error,
        }
