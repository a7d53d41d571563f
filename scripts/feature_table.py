"""Write the table of record features in docs/features.md from their docstrings: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.features.record import RECORD_FEATURES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "features.md"
BEGIN, END = "<!-- features: made by `make docs` -->\n", "<!-- end of features -->"


def table() -> str:
    """The record features, one a line."""
    lines = ["| feature | needs | value | unit |", "| --- | --- | --- | --- |"]
    for feature in RECORD_FEATURES.values():
        first = " ".join(feature.doc.split("\n\n")[0].split())
        needs, value = re.fullmatch(r"Needs (.+?)\. (.+?)\.*", first).groups()
        lines.append(f"| `{feature.name}` | {needs} | {value} | {feature.unit.name} |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """``page`` with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
