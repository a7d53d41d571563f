"""What DuckDB says of a user's query before it meets data: does it bind, what does it give, is it steady."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import sqlglot
from sqlglot import exp

from holdfast.contract.types import Kind
from holdfast.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.errors import HoldfastError

_ALSO_UNSTEADY = frozenset(
    "current_time current_timestamp localtime localtimestamp current_user user session_user getenv".split()  # noqa: SIM905 - one readable line
)
_STEADY = frozenset(
    """
    any_value approx_count_distinct arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
    arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg
    bool_and bool_or corr count count_if count_star countif covar_pop covar_samp entropy favg first fsum
    group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop last list listagg mad max
    max_by mean median min min_by product quantile quantile_cont quantile_disc regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev
    stddev_pop stddev_samp string_agg sum sumkahan var_pop var_samp variance
    """.split()  # noqa: SIM905 - readable lines
)
"""Aggregates that give the same of the same rows, or of the same in an order that queries must give.

DuckDB calls all aggregates steady, those too that draw samples, or keep what some thread came upon first.
"""

WHY_UNSTEADY = {
    "mode": "takes any of the values that are the most frequent, another one in every run",
    "approx_quantile": "is another one whenever threads come upon rows in another order",
    "reservoir_quantile": "draws a sample, which is another one in every run",
}
"""Of aggregates that people know and that are not steady."""

_KINDS = {
    "BOOLEAN": Kind.BOOLEAN,
    "VARCHAR": Kind.CATEGORY,
    "DOUBLE": Kind.NUMBER,
    "FLOAT": Kind.NUMBER,
    "HUGEINT": Kind.NUMBER,
    "UHUGEINT": Kind.NUMBER,
    "UBIGINT": Kind.NUMBER,
} | dict.fromkeys(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"), Kind.INTEGER
)
_TYPES = {
    Kind.NUMBER: "DOUBLE",
    Kind.INTEGER: "BIGINT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "TIMESTAMP",
    Kind.CATEGORY: "VARCHAR",
    Kind.TEXT: "VARCHAR",
    Kind.ID: "VARCHAR",
}


@cache
def unsteady_functions() -> frozenset[str]:
    """Functions whose answer depends on more than what they are given: the clock, chance, settings, threads.

    Macros are, if what they stand for is; aggregates, unless they are known not to be.
    """
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name, function_type, stability, lower(macro_definition) "
            "FROM duckdb_functions()"
        ).fetchall()
    unsteady = {name for name, _, stability, _ in rows if stability not in (None, "CONSISTENT")}
    unsteady |= {name for name, kind, _, _ in rows if kind == "aggregate"} - _STEADY
    unsteady |= _ALSO_UNSTEADY
    macros = {name for name, _, _, text in rows if text and unsteady & {*re.findall(r"\w+", text)}}
    return frozenset(unsteady | macros)


def sql_type(kind: Kind) -> str:
    """The type of a canonical column of some kind."""
    return _TYPES[kind]


def kind_of_value(
    tables: Mapping[str, Mapping[str, str]], query: exp.Select, place: str, refusal: type[HoldfastError]
) -> Kind:
    """What a query's ``value`` is, found on empty tables.

    Args:
        tables: name to its columns and their types.
        query: the query.
        place: its file.
        refusal: the error to raise.

    Raises:
        HoldfastError: ``refusal``: DuckDB cannot make sense of it, or its values are of no use to a model.
    """
    filled = query.transform(with_a_moment).sql(dialect="duckdb", comments=False)
    with duckdb.connect(config={"enable_external_access": False}) as connection:
        for name, columns in tables.items():
            listed = ", ".join(
                f'"{column.replace(chr(34), chr(34) * 2)}" {kind}' for column, kind in columns.items()
            )
            connection.execute(f'CREATE TABLE "{name}" ({listed})')
        try:
            found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {filled}").fetchall()}
        except duckdb.Error as error:
            said = str(error).strip().partition("\n")[0].partition("Error: ")[2].rstrip(".!")
            used = sorted({name for columns in tables.values() for name in columns})
            missing = next((c.name for c in query.find_all(exp.Column) if f'"{c.name}"' in said), None)
            raise refusal(
                f"DuckDB cannot make sense of the query: {said}.",
                where=place,
                hint=nearest(missing, used) if missing else "Mend the query.",
            ) from error
    type_ = found["value"]
    kind = _KINDS.get("DOUBLE" if type_.startswith("DECIMAL") else type_)
    if kind is None:
        raise refusal(
            f"The query's value is of type {type_}, which a model cannot use.",
            where=place,
            hint="Make it a number, a boolean or a text, such as days: DATE_DIFF('day', opened_at, :as_of).",
        )
    return kind


def with_a_moment(node: exp.Expr) -> exp.Expr:
    """A moment in the place of a parameter."""
    if isinstance(node, exp.Placeholder):
        return sqlglot.parse_one("TIMESTAMP '2000-01-01 00:00:00'", read="duckdb")
    return node
