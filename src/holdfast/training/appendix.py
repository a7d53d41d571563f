"""The last sections of the training report: all figures, the data, how the model was made, the contract."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from holdfast.contract.write import render as render_contract
from holdfast.pages import Html, Section, drawing, key_figures, notice, paragraph, table, words
from holdfast.quality.plots import strengths
from holdfast.quality.render import gate_table
from holdfast.training import phrases

if TYPE_CHECKING:
    from holdfast.pages.blocks import Cell
    from holdfast.training.findings import Findings

MOST_TOML = 150_000
"""Characters of the contract that are shown; the artefact holds all of it."""
MOST_COLUMNS = 15


def all_figures(findings: Findings) -> Section:
    """Every figure of the test split, and what was measured on which customers."""
    rows: list[tuple[Cell, ...]] = [
        (each.name, phrases.value(findings, each), phrases.interval(findings, each), each.says)
        for each in phrases.FIGURES
    ]
    return Section(
        "All figures",
        table(["Figure", "Value", "95 % interval", "What it says"], rows),
        Html("<h3>What was measured on which customers</h3>"),
        table(["What", "On", "By"], phrases.where_measured(findings)),
        intro=f"On the {words.count(findings.rows['test'])} customers {phrases.aside(findings)}. Intervals "
        "by bootstrap: where the figure would fall with other customers of the same kind. The calibration "
        "error has none: resampling itself adds to it.",
    )


def the_data(findings: Findings) -> Section:
    """What the data looked like, in short."""
    found = findings.quality
    cells = found.rows * len(found.inputs)
    missing = sum(column.missing for column in found.inputs)
    shown = key_figures(
        [
            ("Rows read", words.count(found.rows), words.count(found.malformed, "broken line")),
            ("Usable", words.count(found.kept), f"{words.count(found.rejected)} rejected"),
            ("Left", words.percent(found.churn.rate), words.count(found.left)),
            ("Columns used", len(found.inputs), f"of {len(found.columns)} in the contract"),
            (
                "Missing values",
                words.percent(missing / cells if cells else 0),
                f"{words.count(missing)} cells",
            ),
            ("Repeated rows", words.count(found.repeated_rows), "equal in all but the id"),
        ]
    )
    told = [column for column in found.inputs if column.association is not None]
    told.sort(key=lambda column: -(column.association.strength if column.association else 0.0))
    bars: list[Html] = []
    if told:
        with drawing():
            bars = [Html("<h3>What goes with churn, each column alone</h3>"), strengths(told[:MOST_COLUMNS])]
    return Section(
        "The data",
        shown,
        gate_table(found.gates),
        *(notice(warning, "warn") for warning in found.warnings),
        *bars,
        intro="In short; the command holdfast check writes a whole report on the table.",
    )


def how_made(findings: Findings) -> Section:
    """What is needed to make the model again."""
    facts = findings.facts
    rows: list[tuple[Cell, ...]] = [
        ("Recipe", phrases.recipe(findings)),
        ("Seed", str(findings.seed)),
        ("Time", f"{words.number(findings.seconds, 2)} s in all; budget {words.number(findings.budget)} s"),
        ("Made", str(facts.get("created", words.NONE))),
        ("Holdfast", str(facts.get("holdfast", words.NONE))),
        ("Contract (SHA-256)", str(facts.get("contract_digest", words.NONE))),
        ("Data (SHA-256)", str(facts.get("data_digest", words.NONE))),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in facts.get("libraries", {}).items())),
    ]
    return Section(
        "How it was made",
        table(["What", "Which"], rows),
        intro="The same data, contract, seed, versions and plan give the same model.",
    )


def the_contract(findings: Findings) -> Section:
    """The contract as its file would say it."""
    text = render_contract(findings.contract)
    cut = text[:MOST_TOML]
    style = "margin: 0; padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere"
    shown = Html(f'<div class="scroll"><pre style="{style}"><code>{html.escape(cut)}</code></pre></div>')
    more = (
        [paragraph("Cut here; the artefact's contract.toml has all of it.", small=True)]
        if len(cut) < len(text)
        else []
    )
    return Section("The contract", shown, *more, intro="What the model was told about the table.")
