"""Write the table of settings in docs/configuration.md from the class that holds them: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import SecretStr

from holdfast.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: made by `make docs` -->\n", "<!-- end of settings -->"


def table() -> str:
    """The settings, one a line, in the order of the class."""
    lines = ["| setting | default | may be | what it sets |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.default == () else f"`{field.default}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {_allowed(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _allowed(field: Any) -> str:
    """Which values it takes, in few words."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is tuple:
        return "several, with commas between them"
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in kinds)
    low = next((one.ge for one in field.metadata if isinstance(one, Ge)), None)
    above = next((one.gt for one in field.metadata if isinstance(one, Gt)), None)
    high = next((one.le for one in field.metadata if isinstance(one, Le)), None)
    bounds = [f"from {low:,}"] if low is not None else [f"more than {above:,}"] if above is not None else []
    bounds += [f"to {high:,}"] if high is not None else []
    if bounds:
        return " ".join(bounds)
    if SecretStr in kinds:
        least = next((one.min_length for one in field.metadata if isinstance(one, MinLen)), None)
        return f"secret, {least} characters or more" if least else "secret"
    return {Path: "folder", str: "text"}[kinds[0]]


def written(page: str) -> str:
    """``page`` with the table as it is now."""
    new = f"{BEGIN}\n{table()}\n{END}"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: new, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
