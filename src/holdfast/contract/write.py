"""Write `churn.toml` so that a person can read it, understand each guess and change it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.contract import toml
from holdfast.contract.types import Kind
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.infer import Inferred, NotePath
    from holdfast.contract.types import Column, Contract

_HEAD = """
What Holdfast knows about your customers. It was guessed from the table; the comments say why. Read it once
and correct what is wrong: all else (checks, features, training, the API, what a mistake costs) follows it.
"""
_ECONOMICS = """
What a mistake costs, in your own money. These decide whom to act on, so put in your own numbers.
"""
_COLUMNS = """
One section a column. kind: number, integer, boolean, category, date, text or id. A column with "exclude" is
not used; delete that line to use it. min and max reject what cannot be. meaning switches on features.
"""
_FEATURES = """
Your own features, as SQL over the columns above.
"""


def write_contract(
    inferred: Inferred, path: str | Path, data: str | Path | None = None, *, overwrite: bool = True
) -> None:
    """Write a guessed contract, whole or not at all.

    Args:
        inferred: from `holdfast.contract.infer.infer_contract`.
        path: the file to write.
        data: the table it was guessed from, to be recorded relative to the contract's folder.
        overwrite: whether a file of that name may be replaced.

    Raises:
        UsageError: the file is there and must not be replaced, or its folder cannot be written to.
    """
    file = Path(path)
    contract = inferred.contract
    if data is not None:
        contract = contract.model_copy(update={"data": relative(Path(data), file)})
    put(file, render(contract, inferred.notes), overwrite=overwrite)


def put(file: Path, text: str, *, overwrite: bool) -> None:
    """Write a contract's text, whole or not at all.

    Raises:
        UsageError: the file is there and must not be replaced, or its folder cannot be written to.
    """
    if not overwrite and file.exists():
        raise UsageError(
            "The contract is already there, perhaps with somebody's corrections.",
            where=str(file),
            hint="Choose another --out, or allow overwriting (--force).",
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, text)
    except OSError as error:
        raise UsageError(
            f"The contract cannot be written: {error.strerror or error}.",
            where=str(file),
            hint="Choose another --out.",
        ) from error


def render(contract: Contract, notes: Mapping[NotePath, str] | None = None) -> str:
    """The contract as TOML, each note beside its key. Loads back to an equal contract.

    Args:
        contract: what to write.
        notes: path of a key, such as ``("columns", "tenure", "kind")``, to a sentence.
    """
    said = notes or {}
    plain = contract.model_dump(
        mode="json", exclude_defaults=True, exclude={"columns", "features", "version"}
    )
    top: dict[str, object] = {"version": contract.version}
    top |= {name: plain[name] for name in ("name", "data") if name in plain}
    parts = [
        toml.paragraph(_HEAD),
        assignments(top, (), said),
        section(("churn",), plain["churn"], said),
        economics(plain["economics"], said),
        toml.paragraph(_COLUMNS),
    ]
    parts += [column_section(("columns", name), column, said) for name, column in contract.columns.items()]
    if not contract.columns:
        parts.append("[columns]")
    parts.append(toml.paragraph(_FEATURES) + "\n" + section(("features",), contract.features, said))
    if not contract.features:
        parts[-1] += f"\n# {_example(contract)}"
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _example(contract: Contract) -> str:
    """A feature of the table's own first two numbers; of made-up ones where it has no two."""
    numbers = [n for n, c in contract.inputs.items() if c.kind in {Kind.NUMBER, Kind.INTEGER}]
    above, below = numbers[:2] if len(numbers) > 1 else ("Total Charges", "Tenure Months")
    quoted = ['"' + name.replace('"', '""') + '"' for name in (above, below)]
    return f"ratio = {toml.value(' / '.join(quoted))}"


def economics(keys: Mapping[str, object], notes: Mapping[NotePath, str]) -> str:
    """The section of what a mistake costs."""
    text = toml.paragraph(_ECONOMICS) + "\n" + section(("economics",), keys, notes)
    if "capacity" not in keys:
        text += "\n# capacity = 0.1  # largest share of customers you can contact; none means no limit"
    return text


def column_section(path: NotePath, column: Column, notes: Mapping[NotePath, str]) -> str:
    """The section of one column, its kind first."""
    keys = column.model_dump(mode="json", exclude_defaults=True)
    keys = {"kind": keys.pop("kind"), **keys}
    return section(path, keys, notes)


def section(path: NotePath, keys: Mapping[str, object], notes: Mapping[NotePath, str]) -> str:
    """A section with its keys, each note beside its key."""
    head = "[" + ".".join(toml.key(part) for part in path) + "]"
    lines = [head]
    if path in notes:
        lines.append(toml.paragraph(toml.comment(notes[path], prefix="")))
    if keys:
        lines.append(assignments(keys, path, notes))
    return "\n".join(lines)


def assignments(keys: Mapping[str, object], path: NotePath, notes: Mapping[NotePath, str]) -> str:
    """Keys and values, one a line; keys of tables within are dotted."""
    lines = []
    for name, found in keys.items():
        inner = (
            {(name, key): some for key, some in found.items()}
            if isinstance(found, dict)
            else {(name,): found}
        )
        for dotted, some in inner.items():
            line = f"{'.'.join(map(toml.key, dotted))} = {toml.value(some)}"
            if (*path, *dotted) in notes:
                line += toml.comment(notes[*path, *dotted], prefix="  # ")
            lines.append(line)
    return "\n".join(lines)


def relative(data: Path, contract: Path) -> str:
    """A table as seen from the contract's folder; absolute where there is no way from one to the other."""
    target, folder = data.resolve(), contract.resolve().parent
    try:
        return Path(os.path.relpath(target, folder)).as_posix()
    except ValueError:  # another drive
        return target.as_posix()


def _replace(file: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        mask = os.umask(0)
        os.umask(mask)
        fresh.chmod(0o666 & ~mask)  # as any new file; temporary ones are for the owner alone
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
