from __future__ import annotations

import csv
import io
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aams.errors import AamsError
from aams.experiments import OUTCOMES, STAGES, STANDINGS, Experiment, experiments
from aams.frame import FORMULA, as_csv, as_parquet, frame, read

pandas = pytest.importorskip("pandas", reason="pandas is not installed: requirements/plot.lock")
pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements/plot.lock")

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
WHOLE = st.none() | st.integers(0, 2**53 - 1)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2261, 1, 1)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}")
ROWS = st.builds(
    Experiment,
    domain=st.sampled_from(("language", "vision", "hybrid")),
    cycle=st.text("abc-0123456789", min_size=1),
    opened=TIMES,
    closed=st.none() | TIMES,
    stage=st.sampled_from(STAGES),
    outcome=st.sampled_from(OUTCOMES),
    reasons=TEXTS,
    generation=st.none() | st.just("G001"),
    parent=st.none() | st.just("G000"),
    spec=st.none() | st.just("a" * 64),
    parent_spec=st.none(),
    placebo=st.none() | st.booleans(),
    rationale=TEXTS,
    standing=st.none() | st.sampled_from(STANDINGS),
    parameters=WHOLE,
    seed=WHOLE,
    generalize=NUMBERS,
    e_value=NUMBERS,
)


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def values(table: Any, row: int) -> dict[str, Any]:
    """What a row holds, missing as None, in plain Python."""
    found = {name: table[name].iloc[row] for name in table.columns}
    return {name: None if pandas.isna(value) else value for name, value in found.items()}


def test_one_row_an_experiment_and_one_column_a_field(tell: Any) -> None:
    rows = experiments(tell.first_and(tell.whole_cycle("G001"), tell.whole_cycle("G002", parent="G001")), {})
    table = frame(rows)
    assert list(table.columns) == [field.name for field in fields(Experiment)]
    assert len(table) == len(rows) == 5
    for number, row in enumerate(rows):
        found = values(table, number)
        for field in fields(Experiment):
            if field.name not in ("opened", "closed"):
                assert found[field.name] == getattr(row, field.name), field.name
        assert f"{found['opened']:%Y-%m-%dT%H:%M:%SZ}" == row.opened


def test_columns_are_typed_even_without_a_row() -> None:
    table = frame([])
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert kinds["opened"] == kinds["closed"] == "datetime64[us, UTC]"
    assert kinds["outcome"] == kinds["stage"] == kinds["standing"] == "category"
    assert kinds["parameters"] == kinds["seed"] == "Int64"
    assert kinds["generalize"] == kinds["e_value"] == "float64"
    assert (kinds["placebo"], kinds["spec"]) == ("boolean", "string")
    assert set(kinds.values()) == {"datetime64[us, UTC]", "category", "Int64", "float64", "boolean", "string"}
    assert tuple(table["outcome"].cat.categories) == OUTCOMES


@settings(max_examples=20, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_both_formats_come_back_with_equal_values_and_types(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Experiment]
) -> None:
    table = frame(rows)
    place = tmp_path_factory.mktemp("frames")
    for name, content in (("a.parquet", as_parquet(table)), ("a.csv", as_csv(table))):
        pandas.testing.assert_frame_equal(read(written(place, name, content)), table, check_exact=True)
    assert as_parquet(frame(rows)) == as_parquet(table)
    assert as_csv(frame(rows)) == as_csv(table)


@settings(max_examples=30, deadline=None)
@given(TEXTS.filter(bool), st.sampled_from(FORMULA))
def test_no_cell_of_a_csv_is_a_formula(text: str, start: str) -> None:
    row = Experiment("language", "c", "2026-11-21T01:00:00Z", None, "trial", "open", start + text, *[None] * 4)
    (cells,) = csv.DictReader(io.StringIO(as_csv(frame([row])).decode(), newline=""))
    assert cells["reasons"] == "'" + start + text
    texts = [value for name, value in cells.items() if name not in ("generalize", "difference", "gain", "gain_low")]
    assert not [value for value in texts if value.startswith(FORMULA[:-1])]


def test_pyarrow_and_pandas_alone_read_what_was_written(tell: Any, tmp_path: Path) -> None:
    table = frame(experiments(tell.first_and(tell.whole_cycle("G001")), {}))
    path = written(tmp_path, "a.parquet", as_parquet(table))
    plain = pandas.read_parquet(path)
    assert list(plain["generation"].dropna()) == ["G000", "G001"]
    assert plain["opened"].dt.tz is not None
    assert pandas.read_csv(written(tmp_path, "a.csv", as_csv(table)))["pairs"].max() == 4


def test_a_name_that_ends_otherwise_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(AamsError, match=r"let it end in \.parquet or \.csv"):
        read(tmp_path / "table.xlsx")
    with pytest.raises(AamsError, match="can't be read"):
        read(tmp_path / "missing.csv")
