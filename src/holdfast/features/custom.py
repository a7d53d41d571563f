"""A user's own features: Polars SQL expressions under ``[features]`` in the contract, checked before use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from holdfast.errors import ContractError, nearest
from holdfast.features.sql import not_computed, not_understood

if TYPE_CHECKING:
    from holdfast.contract import Contract


_PROBE_ROWS = 32


class FeatureError(ContractError):
    """A feature expression of the contract does not parse, names no column or gives no value a row."""

    code = "feature"


def custom_expression(name: str, sql: str, contract: Contract) -> pl.Expr:
    """One feature of ``[features]`` as an expression over the input columns.

    Args:
        name: the feature's name.
        sql: a Polars SQL scalar expression, such as ``MonthlyCharges * 12``.
        contract: whose input columns it may use.

    Raises:
        FeatureError: it does not parse, uses a column that is no input.
    """
    where = f"[features], {name} = {sql!r}"
    try:
        expr = pl.sql_expr(sql)
        roots = expr.meta.root_names()
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        message, hint = not_understood(error)
        raise FeatureError(message, where=where, hint=hint) from error
    if not roots:
        raise FeatureError("The expression uses no column, so it says the same of everyone.", where=where)
    unknown = [root for root in roots if root not in contract.inputs]
    if unknown:
        excluded = contract.columns.get(unknown[0])
        reason = f" It is excluded: {excluded.exclude}." if excluded is not None and excluded.exclude else ""
        raise FeatureError(
            f'The expression uses "{unknown[0]}", which is not an input column.{reason}',
            where=where,
            hint=nearest(unknown[0], contract.inputs),
        )
    return expr.alias(name)


def check_features(contract: Contract, frame: pl.DataFrame) -> None:
    """Compute every feature of ``[features]`` on a conformed frame.

    Raises:
        FeatureError: with the expression and the reason, for the first that fails or gives no usable value.
    """
    for name, sql in contract.features.items():
        expr = custom_expression(name, sql, contract)
        where = f"[features], {name} = {sql!r}"
        try:
            values = frame.select(expr).to_series()
        except pl.exceptions.PolarsError as error:
            message, hint = not_computed(sql, contract, frame, error)
            raise FeatureError(message, where=where, hint=hint) from error
        _insist_row_by_row(expr, frame, values, where)
        usable = (
            values.dtype.is_numeric()
            or values.dtype in {pl.Boolean, pl.String, pl.Null}
            or values.dtype == pl.Enum
        )
        if not usable:
            raise FeatureError(
                f"The expression gives {values.dtype}, which a model cannot use.",
                where=where,
                hint="Cast it to a number, a boolean or text.",
            )


def _insist_row_by_row(expr: pl.Expr, frame: pl.DataFrame, values: pl.Series, where: str) -> None:
    """Refuse aggregates, windows and sorts: a row must have the same features alone and among others.

    Polars cannot say this of an expression before it meets a schema, so it is tried: on all rows together
    (``values``), and on some of them, from the first to the last, alone.
    """
    step = max(1, frame.height // _PROBE_ROWS)
    alone = [row.select(expr).to_series() for row in frame.gather_every(step).iter_slices(1)]
    together = values.gather_every(step)
    if values.len() != frame.height or (alone and not together.equals(pl.concat(alone))):
        raise FeatureError(
            "The expression looks at more rows than its own (an aggregate, a window or a sort).",
            where=where,
            hint="Use only this customer's columns; history features come from event tables.",
        )
