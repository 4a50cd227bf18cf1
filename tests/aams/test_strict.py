from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aams.errors import AamsError
from aams.strict import MAX_YAML_BYTES, path_text, read_json, read_yaml

ACCEPTED_YAML: dict[str, Any] = {
    "a: 1": {"a": 1},
    "a: 0.003": {"a": 0.003},
    "a: 1e-3": {"a": 0.001},
    "a: -2.5E+2": {"a": -250.0},
    "a: -0": {"a": 0},
    "a: true\nb: false": {"a": True, "b": False},
    "a: 'no'": {"a": "no"},
    'a: "012"': {"a": "012"},
    "a: rope": {"a": "rope"},
    "a: gated-mlp # a comment": {"a": "gated-mlp"},
    "a: [1, 2, {b: 3}]": {"a": [1, 2, {"b": 3}]},
    "a:\n  - u\n  - v": {"a": ["u", "v"]},
    "---\na: 1\n...\n": {"a": 1},
    "a: |\n  two\n  lines\n": {"a": "two\nlines\n"},
    "{a: 1, b: {c: 2}}": {"a": 1, "b": {"c": 2}},
    "a: 1\r\nb: 2\r\n": {"a": 1, "b": 2},
    "# \u00e9t\u00e9\na: \u00e9t\u00e9": {"a": "\u00e9t\u00e9"},
    "[]": [],
    "a: 999999999999999999": {"a": 999999999999999999},
    "a: 1st": {"a": "1st"},
}

REFUSED_YAML: dict[bytes, str] = {
    b"": "the file is empty",
    b"# only a comment": "the file is empty",
    b"a: &x 1": "anchors and aliases",
    b"a: &x [1]\nb: *x": "anchors and aliases",
    b"a: !!int 1": "tags are not allowed",
    b"a: !!python/object/apply:os.system [echo]": "tags are not allowed",
    b"! a: 1": "tags are not allowed",
    b"a: 1\na: 2": "a key is given twice",
    b"{a: 1, a: 1}": "a key is given twice",
    b"a: no": "two YAML readers",
    b"a: Yes": "two YAML readers",
    b"a: True": "two YAML readers",
    b"a: ~": "two YAML readers",
    b"a: null": "two YAML readers",
    b"a: 1:30": "two YAML readers",
    b"a: 012": "two YAML readers",
    b"a: 0x1F": "two YAML readers",
    b"a: 0o17": "two YAML readers",
    b"a: 1_000": "two YAML readers",
    b"a: .5": "two YAML readers",
    b"a: +1": "two YAML readers",
    b"a: .inf": "two YAML readers",
    b"a: .NaN": "two YAML readers",
    b"a: 2026-01-01": "two YAML readers",
    b"no: 1": "two YAML readers",
    b"1: one": "a key must be text",
    b"? [a]\n: 1": "a key must be plain text",
    b"a: {<<: {b: 1}}": "merge keys",
    b"a:": "a value is missing",
    b"a: 1e999": "beyond the range",
    b"a: 1\n---\nb: 2": "a second document",
    b"%YAML 1.1\n---\na: 1": "directives",
    b"%TAG ! tag:x,2000:\n---\na: 1": "directives",
    b"a: [1": "not YAML",
    b"a: 'x": "not YAML",
    b"\ta: 1": "not YAML",
    b"\xef\xbb\xbfa: 1": "U\\+FEFF",
    b"a: \x00": "U\\+0000",
    b"a: \x1b[31m": "U\\+001B",
    b"a: \x7f": "U\\+007F",
    "a: x\u202ey".encode(): "U\\+202E",
    "a: x\u200by".encode(): "U\\+200B",
    "a: x\u2028y".encode(): "U\\+2028",
    b'a: "\\0"': "U\\+0000",
    b'a: "\\u202E"': "U\\+202E",
    b"a: \xff": "not UTF-8",
    b"\xff\xfea\x00:\x00": "not UTF-8",
    b"[" * 200 + b"]" * 200: "nested deeper",
    b"a: [" + b"1," * 3000 + b"1]": "more than 2000 values",
    b"a: " + b"x" * MAX_YAML_BYTES: "larger than",
}

ACCEPTED_JSON: dict[bytes, Any] = {
    b"{}": {},
    b"[1, 2.5, -3e2]": [1, 2.5, -300.0],
    b'{"a": {"b": [true, false, null]}}': {"a": {"b": [True, False, None]}},
    b'"\\u20ac"': "\u20ac",
    b'"[{[{[{"': "[{[{[{",
    b' {"a" : 1}\n': {"a": 1},
    b"[" * 32 + b"]" * 32: None,
    b"1": 1,
    b"9007199254740991": 9007199254740991,
    b"100000000000000000000": 1e20,
}

REFUSED_JSON: dict[bytes, str] = {
    b"": "not JSON",
    b"{": "not JSON",
    b"{'a': 1}": "not JSON",
    b'{"a": 1,}': "not JSON",
    b"[1] [2]": "not JSON",
    b'{"a": 1, "a": 2}': "key given twice: 'a'",
    b'{"a": {"b": 1, "b": 1}}': "key given twice: 'b'",
    b'{"a": NaN}': "NaN is not a number",
    b"[Infinity]": "Infinity is not a number",
    b"[-Infinity]": "-Infinity is not a number",
    b"[1e999]": "beyond the range",
    b"[-1e999]": "beyond the range",
    b"9" * 5000: "beyond the range",
    b"\xff": "not UTF-8",
    b"\xef\xbb\xbf{}": "not JSON",
    b'"a\nb"': "not JSON",
    b"[" * 33 + b"]" * 33: "nested deeper than 32",
    b"[" * 100_000: "nested deeper than 32",
}


@pytest.mark.parametrize("text", ACCEPTED_YAML)
def test_plain_yaml_is_read(text: str) -> None:
    assert read_yaml(text.encode(), "spec.yaml").data == ACCEPTED_YAML[text]


@pytest.mark.parametrize("content", REFUSED_YAML, ids=lambda content: repr(content[:24]))
def test_hostile_yaml_is_refused_by_name_and_at_once(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(AamsError, match=REFUSED_YAML[content]) as refusal:
        read_yaml(content, "spec.yaml")
    assert str(refusal.value).startswith("spec.yaml")
    assert time.process_time() - started < 2


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_no_bytes_escape_as_another_error(content: bytes) -> None:
    for reader in (read_yaml, read_json):
        try:
            reader(content, "stranger")
        except AamsError as error:
            assert "stranger" in str(error)


@pytest.mark.parametrize("text", ACCEPTED_YAML)
def test_a_second_yaml_reader_understands_the_same(text: str) -> None:
    reader = YAML(typ="safe", pure=True)
    assert reader.load(text) == read_yaml(text.encode(), "spec.yaml").data


def test_values_know_their_line_and_column() -> None:
    document = read_yaml(b"model:\n  width: 128\n  blocks:\n    - {repeat: 4}\n", "spec.yaml")
    assert document.places[("model",)] == (2, 3)
    assert document.places[("model", "width")] == (2, 10)
    assert document.places[("model", "blocks", 0, "repeat")] == (4, 16)
    assert document.places[("model", "blocks", 0)] == (4, 7)


def test_a_problem_says_where_what_got_and_what_next() -> None:
    document = read_yaml(b"model:\n  heads: 6\n", "spec.yaml")
    problem = document.problem(("model", "heads"), "must divide width=256", 6, "try 4 or 8")
    assert str(problem) == "spec.yaml:2:10: model.heads: must divide width=256; got 6; try 4 or 8"


def test_a_missing_value_is_placed_at_its_parent() -> None:
    document = read_yaml(b"a: 1\nmodel:\n  width: 1\n", "spec.yaml")
    assert str(document.problem(("model", "depth"), "is missing")) == "spec.yaml:3:3: model.depth: is missing"


def test_numbers_can_stay_exact() -> None:
    data = read_yaml(b"a: 0.02\nb: 0.020000000000000001\nc: 3", "contract.yaml", parse_float=Decimal).data
    assert data == {"a": Decimal("0.02"), "b": Decimal("0.020000000000000001"), "c": 3}


def test_a_path_is_written_as_people_write_it() -> None:
    assert path_text(("model", "blocks", 2, "mixer", "heads")) == "model.blocks[2].mixer.heads"


@pytest.mark.parametrize("content", ACCEPTED_JSON, ids=lambda content: repr(content[:24]))
def test_plain_json_is_read(content: bytes) -> None:
    data = read_json(content, "results.json")
    assert data == ACCEPTED_JSON[content] or ACCEPTED_JSON[content] is None


@pytest.mark.parametrize("content", REFUSED_JSON, ids=lambda content: repr(content[:24]))
def test_hostile_json_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(AamsError, match=REFUSED_JSON[content]):
        read_json(content, "results.json")


def test_a_string_that_never_ends_takes_no_quadratic_time() -> None:
    started = time.process_time()
    with pytest.raises(AamsError, match="not JSON"):
        read_json(b'"' + b'\\"' * 1_000_000, "results.json")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[" * 4_000_000, "nested deeper than 32 levels"),
        (b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b',"299999":1}', "twice: '299999'"),
    ],
    ids=["brackets", "keys"],
)
def test_much_of_anything_takes_no_quadratic_time(content: bytes, complaint: str) -> None:
    started = time.process_time()
    with pytest.raises(AamsError, match=complaint):
        read_json(content, "results.json")
    assert time.process_time() - started < 2


def nested(depth: int, leaf: str = '"]]["') -> bytes:
    return ('[{"[": ' * (depth // 2) + "[" * (depth % 2) + leaf + "]" * (depth % 2) + "}, 1]" * (depth // 2)).encode()


@pytest.mark.parametrize("depth", [1, 7, 8, 9, 16, 17, 500])
def test_json_is_as_deep_as_its_brackets_outside_of_strings(depth: int) -> None:
    assert read_json(nested(depth), "x", max_depth=depth)
    with pytest.raises(AamsError, match="nested deeper"):
        read_json(nested(depth), "x", max_depth=depth - 1)


@pytest.mark.parametrize("content", [b"]", b"][", b"[" * 9, b"[]" * 9, b"[" * 9 + b"}" * 9, b"{]" * 40 + b"[" * 40])
def test_brackets_that_do_not_match_are_refused(content: bytes) -> None:
    with pytest.raises(AamsError, match=r"not JSON|nested deeper"):
        read_json(content, "x", max_depth=8)


def test_json_beyond_the_cap_is_not_parsed() -> None:
    with pytest.raises(AamsError, match="larger than 10 bytes; got 11 bytes"):
        read_json(b'"123456789"', "results.json", max_bytes=10)
