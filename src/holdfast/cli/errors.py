"""Turns every way in which a command can end into words and an exit code.

0 fine · 1 our failure · 2 the command was wrong · 3 the data break the contract · 130 Ctrl-C · 143 SIGTERM
· 141 the reader of our output went away.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING

import typer

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
TERMINATED = 143
PIPE_CLOSED = 141

_FULL = (
    "There is no room left on the disk.",
    "Make room, or name places on another disk: --home, --out, and TMPDIR for temporary files.",
)
_BARRED = (
    "The system does not let it be written or read.",
    "Check the rights of files and folders, or name other places with --home and --out.",
)
_DISK = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _BARRED,
    errno.EACCES: _BARRED,
    errno.EPERM: _BARRED,
}
"""What a disk refuses wherever it may be, which is no fault of the program."""


def guarded(work: Callable[[], int], *, as_json: bool, debug: bool) -> int:
    """Run ``work`` and give its exit code; no exception leaves, no traceback shows without ``debug``."""
    try:
        code = work()
        sys.stdout.flush()
    except HoldfastError as error:
        return _failed(error.as_dict(), error.exit_code, as_json=as_json, debug=debug)
    except typer.TyperException as error:
        return _failed(_usage(error), error.exit_code, as_json=as_json, debug=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except (BrokenPipeError, SystemExit) as ending:
        # Typer and Rich turn a broken pipe into SystemExit(1); any other SystemExit goes on.
        if not isinstance(ending if isinstance(ending, OSError) else ending.__context__, BrokenPipeError):
            raise
        code = _pipe_closed()
    except Exception as error:  # noqa: BLE001 - the outermost boundary: everything becomes one block
        return _failed(_unexpected(error), 1, as_json=as_json, debug=debug)
    if code == INTERRUPTED:
        stopped = {"code": "stopped", "message": "Stopped."}
        return _failed(stopped, INTERRUPTED, as_json=as_json, debug=False)
    return code


def _pipe_closed() -> int:
    """Whoever read our output has enough; without this Python would complain once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _failed(error: dict[str, str], code: int, *, as_json: bool, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if as_json:
        print(json.dumps({"error": error}, ensure_ascii=False, indent=2))  # noqa: T201 - the answer
    else:
        block = error["message"]
        block += f"\n  at: {error['where']}" if "where" in error else ""
        block += f"\n  do: {error['hint']}" if "hint" in error else ""
        if code != INTERRUPTED:
            block = f"Error: {block}"
        print(block, file=sys.stderr)  # noqa: T201 - the one readable block
    return code


def _usage(error: typer.TyperException) -> dict[str, str]:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "holdfast"
    return {"code": "usage", "message": error.format_message(), "hint": f"See {path} --help"}


def _unexpected(error: Exception) -> dict[str, str]:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, OSError) and number in _DISK:
        message, hint = _DISK[number]
        where = {"where": str(error.filename)} if error.filename else {}
        return {"code": "disk", "message": message, **where, "hint": hint}
    first_line = (str(error).strip().splitlines() or [""])[0]
    what = type(error).__name__ + (f": {first_line}" if first_line else "")
    return {
        "code": "unexpected",
        "message": f"Unexpected failure ({what}).",
        "hint": "Run it again with --debug for the full trace, and report it; this is a fault in Holdfast.",
    }
