"""The ledger as one tidy table for a notebook: one row an experiment, one typed column a field of `Experiment`.

Takes experiments, gives a pandas table, or its bytes as Parquet or CSV, and reads both back with equal values and
types: `aams.frame.read("experiments.csv")`. Nothing in a CSV is a formula to a spreadsheet.
"""

from __future__ import annotations

import dataclasses
import io
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aams.experiments import Experiment
from aams.exports import kind_of, need
from aams.files import read_bounded

if TYPE_CHECKING:
    import pandas

FORMATS = ("parquet", "csv")
MAX_BYTES = 1 << 30
TIMES = ("opened", "closed")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""What makes a spreadsheet compute a cell that begins with it, wide forms too (OWASP), and the quote against it."""


def frame(rows: Iterable[Experiment]) -> pandas.DataFrame:
    """The table, in the order of the rows.

    Raises:
        AamsError: pandas is not installed.
    """
    need("pandas")
    import pandas

    names = [field.name for field in dataclasses.fields(Experiment)]
    values = [[getattr(row, name) for name in names] for row in rows]
    return _typed(pandas.DataFrame(values, columns=names, dtype=object))


def as_parquet(table: pandas.DataFrame) -> bytes:
    """The table as Parquet, types included.

    Raises:
        AamsError: pyarrow is not installed.
    """
    need("pyarrow")
    content: bytes = table.to_parquet(engine="pyarrow", index=False)
    return content


def as_csv(table: pandas.DataFrame) -> bytes:
    """The table as CSV in UTF-8: what is missing is empty, what could be a formula begins with a quote."""
    plain = table.copy()
    for name in TIMES:
        plain[name] = plain[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in _texts():
        plain[name] = plain[name].astype(object).map(_guarded, na_action="ignore")
    text: str = plain.to_csv(index=False, lineterminator="\r\n")  # as RFC 4180 has it: else a lone \r is not quoted
    return text.encode()


def read(path: str | Path) -> pandas.DataFrame:
    """Read a table that `aams frame` wrote.

    Raises:
        AamsError: the file can't be read, its name ends otherwise, or pandas is not installed.
    """
    need("pandas")
    import pandas

    kind = kind_of(Path(path), FORMATS)
    content = read_bounded(Path(path), MAX_BYTES)
    if kind == "parquet":
        return _typed(pandas.read_parquet(io.BytesIO(content), engine="pyarrow"))
    table = pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8")
    for name in _texts():
        table[name] = table[name].astype(object).map(lambda text: text.removeprefix("'"), na_action="ignore")
    return _typed(table)


def _typed(table: pandas.DataFrame) -> pandas.DataFrame:
    import pandas

    for name, kind in _kinds().items():
        column = table[name]
        if name in TIMES:
            table[name] = pandas.to_datetime(column, utc=True).astype("datetime64[us, UTC]")
        elif typing.get_origin(kind) is Literal:
            table[name] = column.astype(pandas.CategoricalDtype(typing.get_args(kind)))
        elif kind is bool:
            table[name] = column.replace({"True": True, "False": False}).astype("boolean")
        elif kind is int:
            table[name] = column.map(int, na_action="ignore").astype("Int64")
        elif kind is float:
            table[name] = column.map(float, na_action="ignore").astype("float64")
        else:
            table[name] = column.astype("string")
    return table


def _kinds() -> dict[str, Any]:
    """The type of each column's values; whether one may be missing is the same to all."""
    kinds = {}
    for name, hint in typing.get_type_hints(Experiment).items():
        choices = typing.get_args(hint) if types.NoneType in typing.get_args(hint) else (hint,)
        kinds[name] = next(kind for kind in choices if kind is not types.NoneType)
    return kinds


def _texts() -> list[str]:
    return [name for name, kind in _kinds().items() if kind is str and name not in TIMES]


def _guarded(text: str) -> str:
    return "'" + text if text.startswith(FORMULA) else text
