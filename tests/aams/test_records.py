"""Every record that goes to disk comes back from it unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aams import records
from aams.canonical import canonical_json, from_data, to_data
from aams.errors import AamsError
from aams.strict import read_json
from safety import checkpoint, events, signatures

RECORDS = [
    kind
    for module in (records, events, signatures, checkpoint)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
]

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, st.integers(-(2**53) + 1, 2**53 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
JSON = st.recursive(
    st.none() | st.booleans() | st.from_type(int) | st.from_type(float) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
st.register_type_strategy(
    Mapping, lambda kind: st.dictionaries(TEXT, JSON if kind.__args__[1] is Any else st.from_type(kind.__args__[1]))
)


st.register_type_strategy(records.Mutation, st.builds(records.Mutation, before=JSON, after=JSON))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_round_trips_through_canonical_json(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(st.from_type(kind))
    assert from_data(kind, read_json(canonical_json(to_data(record)), "record")) == record


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_takes_no_key_more_and_no_key_less(kind: type[Any], data: st.DataObject) -> None:
    plain = to_data(data.draw(st.from_type(kind)))
    with pytest.raises(AamsError, match="unknown key"):
        from_data(kind, {**plain, "surprise": 1})
    for name in plain:
        with pytest.raises(AamsError, match=f"key '{name}' is missing"):
            from_data(kind, {key: value for key, value in plain.items() if key != name})


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_is_frozen_and_slotted(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
