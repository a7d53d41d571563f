"""Write the table of routes in docs/security.md from the policy that holds them: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.access import Role
from holdfast.api.policy import ASSETS, POLICY, PUBLIC

PAGE = Path(__file__).resolve().parents[1] / "docs" / "security.md"
BEGIN, END = "<!-- routes: made by `make docs` -->\n", "<!-- end of routes -->"


def table() -> str:
    """Which routes each role adds to those of the one before."""
    lines = ["| role | may use, beside all above |", "| --- | --- |"]
    lines.append(f"| anybody | {_named([*PUBLIC, (f'{ASSETS}/…', 'GET')])} |")
    lines += [
        f"| {role.label} | {_named([route for route, needed in POLICY.items() if needed is role])} |"
        for role in Role
    ]
    return "\n".join(lines) + "\n"


def _named(routes: list[tuple[str, str]]) -> str:
    return ", ".join(f"`{method} {path}`" for path, method in sorted(routes)) or "nothing more"


def written(page: str) -> str:
    """``page`` with the table as it is now."""
    new = f"{BEGIN}\n{table()}\n{END}"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: new, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
