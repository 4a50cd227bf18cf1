from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.canonical import canonical_json, digest, from_data, sha256, to_data
from aams.errors import AamsError, Problem
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


@dataclass(frozen=True, slots=True)
class Shelf:
    """A field of every kind that a record may have."""

    label: str
    sealed: bool
    width: float
    shade: Literal["dark", "light"]
    owner: str | None
    runs: tuple[Run, ...]
    notes: Mapping[str, tuple[int, ...]]
    anything: Any


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


def test_what_has_no_canonical_form_is_told_with_the_reason() -> None:
    with pytest.raises(AamsError, match=r"^data has no canonical JSON; got 9007199254740992 exceeds"):
        canonical_json({"seeds": [2**53]})


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
    with pytest.raises(AamsError, match=r"^key 'steps' is missing$"):
        from_data(Run, {name: value for name, value in RUN.items() if name != "steps"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_no_number(value: float) -> None:
    data = {"name": "recall", "value": value, "comparison": ">=", "bound": 0.0, "passed": True}
    with pytest.raises(AamsError, match="value: must be a finite number"):
        from_data(Criterion, data)


SHELF = {
    "label": "top",
    "sealed": False,
    "width": 0.5,
    "shade": "dark",
    "owner": None,
    "runs": [RUN, RUN],
    "notes": {"prime": [2, 3], "none": []},
    "anything": {"goes": [None, 1.5]},
}


def test_every_kind_of_field_comes_back_as_its_own_kind() -> None:
    shelf = from_data(Shelf, SHELF)
    run = from_data(Run, RUN)
    notes = {"prime": (2, 3), "none": ()}
    assert shelf == Shelf("top", False, 0.5, "dark", None, (run, run), notes, {"goes": [None, 1.5]})
    assert to_data(shelf) == SHELF
    assert from_data(Shelf, SHELF | {"owner": "ann"}).owner == "ann"


@pytest.mark.parametrize(
    ("change", "path", "what", "got"),
    [
        ({"label": None}, "label", "must be a string", "None"),
        ({"sealed": 0}, "sealed", "must be true or false", "0"),
        ({"width": "wide"}, "width", "must be a number", "'wide'"),
        ({"width": True}, "width", "must be a number", "True"),
        ({"width": 10**400}, "width", "must be a finite number", "1" + "0" * 76 + "..."),
        ({"width": -(10**400)}, "width", "must be a finite number", "-1" + "0" * 75 + "..."),
        ({"shade": "green"}, "shade", "must be one of dark, light", "'green'"),
        ({"shade": None}, "shade", "must be one of dark, light", "None"),
        ({"owner": 7}, "owner", "must be a string", "7"),
        ({"runs": {"0": RUN}}, "runs", "must be a list", f"{ ({'0': RUN})!r:.77}..."),
        ({"runs": (RUN,)}, "runs", "must be a list", f"{(RUN,)!r:.77}..."),
        ({"runs": [RUN, "run"]}, "runs[1]", "must be an object", "'run'"),
        ({"runs": [RUN, RUN | {"seed": "7"}]}, "runs[1].seed", "must be an integer", "'7'"),
        ({"runs": [RUN, RUN | {"gift": 1}]}, "runs[1]", "unknown key", "'gift'"),
        ({"runs": [{}]}, "runs[0]", "key 'name' is missing", ""),
        ({"notes": [2, 3]}, "notes", "must be an object", "[2, 3]"),
        ({"notes": {"prime": [2, 3.0]}}, "notes.prime[1]", "must be an integer", "3.0"),
        ({"label": 2**53}, "label", "must be an integer of at most 2**53 - 1 in size", "9007199254740992"),
        ({"label": ["x" * 75]}, "label", "must be a string", f"['{'x' * 75}']"),
        ({"label": ["x" * 76]}, "label", "must be a string", f"['{'x' * 75}..."),
    ],
)
def test_the_first_thing_that_does_not_fit_is_named_with_its_place(
    change: dict[str, Any], path: str, what: str, got: str
) -> None:
    with pytest.raises(AamsError) as refused:
        from_data(Shelf, SHELF | change, "shelf.json")
    advice = "remove it" if what == "unknown key" else ""
    assert refused.value.problems == (Problem(what, got, advice, path=path, file="shelf.json"),)


def test_the_largest_numbers_of_each_kind_are_read() -> None:
    for size in (2**53 - 1, 1 - 2**53):
        assert from_data(Run, RUN | {"seed": size}).seed == size
    for width in (1.7976931348623157e308, -1.7976931348623157e308):
        assert from_data(Shelf, SHELF | {"width": width}).width == width
