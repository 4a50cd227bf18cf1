from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.canonical import canonical_json, digest, from_data, sha256, to_data
from aams.errors import AamsError
from aams.records import Criterion, Run
from aams.strict import read_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@dataclass(frozen=True, slots=True)
class Priced:
    price: Decimal


RUN = {"name": "child-0", "arm": "child", "pair": 0, "spec": "a" * 64, "seed": 7, "steps": 90}


def test_the_rfc_8785_example_has_the_bytes_of_the_standard() -> None:
    data = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(data) == expected.encode()


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == [
        "\r",
        "1",
        "\x80",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, b"0"), (-0.0, b"0"), (1.0, b"1"), (1e21, b"1e+21"), (1e20, b"100000000000000000000")]
)
def test_numbers_are_written_as_ecmascript_does(number: float, text: bytes) -> None:
    assert canonical_json(number) == text


@pytest.mark.parametrize("data", [math.nan, math.inf, 2**53, {1: 2}, {"a": {1, 2}}, "\ud800", b"bytes"])
def test_what_has_no_canonical_form_is_refused(data: Any) -> None:
    with pytest.raises(AamsError):
        canonical_json(data)


@given(PLAIN)
def test_canonical_json_is_json_of_the_same_data(data: Any) -> None:
    assert read_json(canonical_json(data), "canonical") == data


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=5), PLAIN, max_size=5))
def test_the_order_of_keys_changes_no_digest(data: dict[str, Any]) -> None:
    assert digest(dict(reversed(data.items()))) == digest(data)


def test_a_digest_is_that_of_the_exact_bytes() -> None:
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_record_comes_back_from_its_data() -> None:
    assert to_data(from_data(Run, RUN)) == RUN


def test_an_integer_is_read_where_a_fraction_is_meant() -> None:
    data = {"name": "recall", "value": 1, "comparison": ">=", "bound": 0, "passed": True}
    assert from_data(Criterion, data) == Criterion("recall", 1.0, ">=", 0.0, True)


def test_a_large_fraction_comes_back_although_it_is_written_without_a_point() -> None:
    data = {"name": "x", "value": 6.987098355113985e16, "comparison": ">=", "bound": -1e300, "passed": True}
    assert to_data(from_data(Criterion, read_json(canonical_json(data), "criterion"))) == data


def test_decimals_stay_exact() -> None:
    assert from_data(Priced, {"price": Decimal("0.10")}).price == Decimal("0.1")
    assert from_data(Priced, {"price": 2}).price == Decimal(2)
    with pytest.raises(AamsError, match="must be a number"):
        from_data(Priced, {"price": 0.1})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seed": "7"}, "seed: must be an integer"),
        ({"seed": True}, "seed: must be an integer"),
        ({"seed": 7.0}, "seed: must be an integer"),
        ({"seed": 2**53}, "seed: must be an integer of at most"),
        ({"seed": 10**400}, "seed: must be an integer of at most"),
        ({"seed": None}, "seed: must be an integer"),
        ({"arm": "parent"}, "arm: must be one of root, control, child"),
        ({"arm": ["child"]}, "arm: must be one of"),
        ({"name": 3}, "name: must be a string"),
        ({"gift": 1}, "unknown key; got 'gift'"),
    ],
)
def test_data_that_is_not_the_record_is_refused_by_name(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AamsError, match=complaint):
        from_data(Run, RUN | change)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(AamsError, match="key 'steps' is missing"):
        from_data(Run, {name: value for name, value in RUN.items() if name != "steps"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_no_number(value: float) -> None:
    data = {"name": "recall", "value": value, "comparison": ">=", "bound": 0.0, "passed": True}
    with pytest.raises(AamsError, match="value: must be a finite number"):
        from_data(Criterion, data)
