"""Write a trained model as an artefact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.contract.write import render as render_contract
from holdfast.model.artefact import write_json, write_manifest
from holdfast.model.model import HISTORY_FILE
from holdfast.training.card import model_card
from holdfast.training.plots import figures, standalone
from holdfast.training.report import render as render_report

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.model.model import Scorer
    from holdfast.training.findings import Findings


def write_artefact(
    folder: Path, scorer: Scorer, findings: Findings, baseline: dict[str, Any]
) -> dict[str, Any]:
    """Write every file of the artefact into the empty ``folder`` and seal it.

    Returns:
        The manifest.
    """
    (folder / "contract.toml").write_text(render_contract(findings.contract), encoding="utf-8")
    learned = {"record": scorer.program.record, "encoder": scorer.encoder.state()}
    write_json(folder, "features.json", learned)
    members = scorer.ensemble.save(folder)
    if findings.history is not None:
        write_json(folder, HISTORY_FILE, findings.history.canonical())
    if findings.survival is not None:
        findings.survival.save(folder)
    described = {
        **members,
        "calibrator": scorer.calibrator.state(),
        "threshold": findings.threshold,
        "columns": [slot.name for slot in scorer.encoder.slots],
    }
    write_json(folder, "model.json", described)
    write_json(folder, "baseline.json", baseline)
    write_json(folder, "metrics.json", findings.metrics())
    write_json(folder, "importance.json", findings.importance)
    (folder / "model_card.md").write_text(model_card(findings), encoding="utf-8")
    drawn = figures(findings)
    (folder / "report.html").write_text(render_report(findings, drawn), encoding="utf-8")
    (folder / "plots").mkdir()
    for name, figure in drawn.items():
        (folder / "plots" / f"{name}.svg").write_text(standalone(figure), encoding="utf-8")
    return write_manifest(folder, findings.facts)
