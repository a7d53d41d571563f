"""The training report: one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.pages import (
    Badge,
    Html,
    Section,
    key_figures,
    notice,
    page,
    paragraph,
    table,
    words,
)
from holdfast.pages.blocks import show
from holdfast.training import appendix, curves, inperiods, phrases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pages.blocks import Cell, Tone
    from holdfast.training.curves import Ranked
    from holdfast.training.findings import Findings


def render(findings: Findings, drawn: Mapping[str, Html]) -> str:
    """The report of one training; equal findings give equal bytes.

    Args:
        findings: what it tells.
        drawn: their `holdfast.training.plots.figures`.
    """
    ranked = curves.rank(findings.test_y, findings.test_p)
    sections = [
        _summary(findings, ranked),
        inperiods.by_period(findings, drawn),
        _money(findings, ranked, drawn),
        _probabilities(findings, drawn),
        _ranking(findings, drawn),
        _importance(drawn),
        _leaderboard(findings, drawn),
        _smote(findings),
        appendix.all_figures(findings),
        appendix.the_data(findings),
        appendix.how_made(findings),
        appendix.the_contract(findings),
    ]
    subtitle = f"{phrases.model_name(findings.chosen)}, learned from {phrases.learned_from(findings)}"
    facts = findings.facts
    footer = (
        f"Holdfast {facts.get('holdfast', '')}, {facts.get('created', '')}. Contract "
        f"{str(facts.get('contract_digest', ''))[:12]}, data {str(facts.get('data_digest', ''))[:12]}, "
        f"seed {findings.seed}."
    )
    title = f"Churn model: {findings.contract.name}"
    return page(title, subtitle, [each for each in sections if each is not None], footer=footer)


def _summary(findings: Findings, ranked: Ranked) -> Section:
    lead = f'<p style="font-size: 1.1rem">{show(phrases.headline(findings, ranked))}</p>'
    return Section(
        "Summary",
        *(notice(warning, "warn") for warning in findings.warnings),
        Html(lead),
        key_figures(_keys(findings, ranked)),
        paragraph("Ranges are 95 % intervals.", small=True),
        paragraph(f"Chosen: {findings.why} {findings.features_note}"),
    )


def _keys(findings: Findings, ranked: Ranked) -> list[tuple[str, Cell, str]]:
    at = curves.acting(ranked, findings.threshold, findings.contract.economics)
    reached = words.percent(at.found / ranked.left, 0) if ranked.left else words.NONE
    noise = curves.calibration_noise(findings.test_p)[0]
    shown: dict[str, tuple[Cell, str]] = {
        figure.key: (phrases.value(findings, figure), phrases.interval(findings, figure))
        for figure in phrases.FIGURES
    }
    return [
        (
            "To act on",
            words.percent(at.acted / max(1, ranked.rows), 0),
            f"from {words.percent(findings.threshold)}",
        ),
        ("Leavers found", reached, f"{words.count(at.found)} of {words.count(ranked.left)}"),
        ("Gain each", *shown["profit_per_customer"]),
        ("Lift, top 10 %", *shown["lift_top_decile"]),
        ("ROC AUC", *shown["roc_auc"]),
        ("Log loss", *shown["log_loss"]),
        ("Calib. error", shown["calibration_error"][0], f"chance: {words.fixed(noise, 3)}"),
    ]


def _money(findings: Findings, ranked: Ranked, drawn: Mapping[str, Html]) -> Section:
    economics = findings.contract.economics
    rows: list[tuple[Cell, ...]] = [
        (
            who,
            words.count(each.acted),
            words.count(each.found),
            words.money(each.worth),
            words.money(each.worth / max(1, ranked.rows)),
        )
        for who, each in phrases.alternatives(findings, ranked)
    ]
    headers = ["Whom to act on", "Contacts", "Leavers reached", "Expected gain", "Per customer"]
    capacity = (
        f"; at most {words.percent(economics.capacity)} of customers can be contacted"
        if economics.capacity is not None
        else ""
    )
    intro = (
        f"A customer is worth {words.money(economics.customer_value)}, a contact costs "
        f"{words.money(economics.contact_cost)}, an offer {words.money(economics.offer_cost)}, and "
        f"{words.percent(economics.success_rate, 0)} of those about to leave stay for it{capacity}. "
        f"These come from the contract: correct them there, and train again. {findings.threshold_why}"
    )
    parts = [drawn[name] for name in ("profit",) if name in drawn]
    confusion = [drawn["confusion"]] if "confusion" in drawn else []
    return Section("What acting is worth", *parts, table(headers, rows), *confusion, intro=intro)


def _probabilities(findings: Findings, drawn: Mapping[str, Html]) -> Section | None:
    if "calibration" not in drawn:
        return None
    bins = curves.calibration_bins(findings.test_y, findings.test_p)
    rows: list[tuple[Cell, ...]] = [
        (
            _range(each.least, each.most),
            words.fixed(100 * each.predicted, 1),
            words.fixed(100 * each.seen, 1),
            _range(each.low, each.high),
        )
        for each in bins
    ]
    sizes = f"{len(bins)} bins of about {words.count(bins[0].rows, 'customer')} each, in %"
    listed = table(["Probability", "Predicted", "Left", "95 %"], rows, caption=sizes)
    return Section(
        "Are the probabilities right?",
        _pairs(drawn["calibration"], listed),
        paragraph(phrases.calibration_verdict(findings)),
        intro="Of customers said to leave with 30 %, 30 in 100 should leave: points on the dashed line. "
        + phrases.calibrator(findings),
    )


def _pairs(*blocks: Html) -> Html:
    """Blocks two and two, also on paper; one by one where it is narrow."""
    columns = "repeat(auto-fill, minmax(min(max(300px, 40%), 100%), 1fr))"
    cells = "".join(f'<div class="cell">{block}</div>' for block in blocks)
    return Html(f'<div class="grid" style="grid-template-columns: {columns}">{cells}</div>')


def _range(low: float, high: float) -> str:
    """Two shares in per cent as one short text that stays on one line."""
    return f"{words.fixed(100 * low, 1)}\N{EN DASH}{words.fixed(100 * high, 1)}"


def _ranking(findings: Findings, drawn: Mapping[str, Html]) -> Section:
    shown = [drawn[name] for name in ("gain", "lift", "roc", "precision_recall") if name in drawn]
    if not shown:
        return Section(
            "Does it find them?",
            notice(
                f"The {words.count(findings.rows['test'])} customers kept aside are all of one kind.", "warn"
            ),
        )
    return Section(
        "Does it find them?",
        _pairs(*shown),
        intro="How well the model puts those who leave before those who stay. The point is the threshold.",
    )


def _importance(drawn: Mapping[str, Html]) -> Section | None:
    if "importance" not in drawn:
        return None
    return Section(
        "What it goes by",
        drawn["importance"],
        intro="Left, how far a feature moves a customer's log-odds, up or down, on average. Right, how much "
        "worse the log loss gets when its values are shuffled among customers; features that say the same "
        "stand in for each other, and one by one may look dispensable. Neither says that changing it would "
        "keep anyone.",
    )


def _leaderboard(findings: Findings, drawn: Mapping[str, Html]) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            _candidate(row),
            *(words.fixed(row[name], 4) for name in ("log_loss", "roc_auc", "pr_auc")),
            words.fixed(row["calibration_error"], 3),
            words.fixed(row["profit_per_customer"], 2),
            words.number(row["fit_seconds"], 2) if row["fit_seconds"] else words.NONE,
            words.number(row["score_us_per_row"], 2) if row["score_us_per_row"] else words.NONE,
        )
        for row in findings.leaderboard.iter_rows(named=True)
    ]
    headers = ["Model", "Log loss", "AUC", "PR AUC", "Cal. error", "Gain", "Fit, s", "µs a row"]
    shown = [drawn["leaderboard"]] if "leaderboard" in drawn else []
    return Section(
        "Leaderboard",
        *shown,
        table(headers, rows),
        paragraph(f"Chosen: {findings.why}"),
        intro=f"{phrases.how_compared(findings)}; gain is per customer at the threshold. Noise is one "
        "standard error of the difference in log loss from the best, customer by customer; of the models "
        "within it, the simplest is chosen.",
    )


def _candidate(row: Mapping[str, Any]) -> Html:
    """A candidate's name, what became of it, and its note."""
    mark = ""
    if row["chosen"]:
        mark = " " + show(Badge("chosen", "good"))
    elif row["within_noise"]:
        mark = " " + show(Badge("within noise", "info"))
    note = show(phrases.model_name(row["note"] or ""))
    below = f'<br><span class="small" style="font-weight: 400">{note}</span>' if note else ""
    return Html(f"{show(phrases.model_name(row['model']))}{mark}{below}")


def _smote(findings: Findings) -> Section | None:
    pair = phrases.smote_pair(findings)
    if pair is None:
        return None
    with_it, without = pair
    verdict, tone = _verdict(findings, with_it, without)
    names = {
        "log_loss": "Log loss",
        "calibration_error": "Calibration error",
        "brier": "Brier score",
        "roc_auc": "ROC AUC",
        "profit_per_customer": "Gain a customer",
    }
    rows = [
        (said, _figure(without[name], name), _figure(with_it[name], name)) for name, said in names.items()
    ]
    plain = phrases.model_name(str(without["model"]))
    headers = ["", plain, f"{plain}, trained on rows balanced by SMOTE"]
    return Section(
        "What SMOTE would have done",
        table(headers, rows),
        notice(verdict, tone),
        intro="SMOTE invents leavers until there are as many as stayers. It is often used on churn, so here "
        "it is for comparison, out of fold, its probabilities as they come. The row without it is tuned and "
        "calibrated, and part of the difference is that; calibrating does not change the ranking (AUC).",
    )


def _figure(value: object, name: str) -> str:
    if not isinstance(value, float):
        return words.NONE
    return words.money(value) if name == "profit_per_customer" else words.fixed(value, 4)


def _verdict(
    findings: Findings, with_it: Mapping[str, object], without: Mapping[str, object]
) -> tuple[str, Tone]:
    """What the comparison says, and its tone."""
    (gap, before), (worse, loss) = (
        (float(str(with_it[name])), float(str(without[name]))) for name in ("calibration_error", "log_loss")
    )
    moved = f"from {words.fixed(before, 3)} to {words.fixed(gap, 3)}"
    cost = f"from {words.fixed(loss, 4)} to {words.fixed(worse, 4)}"
    # what chance makes of flawless probabilities falls with the square root of the customers
    rows = findings.rows.get("searched", findings.rows["train"])
    most = curves.calibration_noise(findings.test_p)[1] * (len(findings.test_p) / rows) ** 0.5
    chance = f"by chance rarely above {words.fixed(most, 3)} on {words.count(rows, 'customer')}"
    said = f"It takes the calibration error {moved} ({chance}) and the log loss {cost}"
    if gap > max(before, most) and worse > loss:
        return (
            f"{said}: its probabilities are not the shares of customers who leave, so a threshold from the "
            "economics picks some customers wrongly."
        ), "warn"
    return f"{said}.", "info"
