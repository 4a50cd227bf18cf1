from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from aams.errors import AamsError, ResultError
from evaluator.weights import Tensor, check_weights, read_table

ARRAYS = {
    "embed.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "norm.count": np.array(7, dtype=np.int64),
    "out.bias": np.array([-0.0, 1e-45, 3e38], dtype=np.float32),
    "half": np.array([1.5, 65504], dtype=np.float16),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
TABLE = {
    "embed.weight": Tensor("F32", (3, 4)),
    "norm.count": Tensor("I64", ()),
    "out.bias": Tensor("F32", (3,)),
    "half": Tensor("F16", (2,)),
    "empty": Tensor("F32", (0, 3)),
}


def keep(folder: Path, content: bytes) -> tuple[Path, str]:
    path = folder / "child-0.safetensors"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def build(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def row(start: int, stop: int, dtype: str = "F32", shape: Any = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(stop - start) // 4] if shape is None else shape, "data_offsets": [start, stop]}


def test_what_the_library_writes_is_read_and_accepted(tmp_path: Path) -> None:
    path, digest = keep(tmp_path, save(ARRAYS))
    assert read_table(path) == TABLE
    check_weights(path, TABLE, digest)


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (build({}, b""), {}),
        (build({"a": row(0, 4)}, b"\0" * 4), {"a": Tensor("F32", (1,))}),
        (build({"b": row(4, 8), "a": row(0, 4)}, b"\0" * 8), {"a": Tensor("F32", (1,)), "b": Tensor("F32", (1,))}),
        (build(json.dumps({"a": row(0, 4)}).encode() + b"   ", b"\0" * 4), {"a": Tensor("F32", (1,))}),
        (build({"a": row(0, 4, "BF16", [2, 1])}, b"\x80\x3f\x7f\x7f"), {"a": Tensor("BF16", (2, 1))}),
        (build({"a": row(0, 8, "I64", [1])}, b"\xff" * 8), {"a": Tensor("I64", (1,))}),
        (build({"a": row(0, 4, "F16", [2])}, b"\xff\x7b\xff\xfb"), {"a": Tensor("F16", (2,))}),
        (build({"a": row(0, 4, shape=[1, 1, 1])}, b"\xff\xff\x7f\x7f"), {"a": Tensor("F32", (1, 1, 1))}),
        (build({"l0.mixer_q.weight": row(0, 4, shape=[])}, b"\0" * 4), {"l0.mixer_q.weight": Tensor("F32", ())}),
        (build({"a": row(0, 0), "b": row(0, 4)}, b"\0" * 4), {"a": Tensor("F32", (0,)), "b": Tensor("F32", (1,))}),
    ],
)
def test_sound_files_are_accepted(tmp_path: Path, content: bytes, table: dict[str, Tensor]) -> None:
    path, digest = keep(tmp_path, content)
    check_weights(path, table, digest)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "shorter than a safetensors header"),
    "seven bytes": (b"\0" * 7, "shorter than"),
    "no header": (b"\0" * 8, "not JSON"),
    "pickle": (b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins", "ends inside|declares a header"),
    "zip": (b"PK\x03\x04" + b"\0" * 100, "ends inside|declares a header"),
    "huge header": (struct.pack("<Q", 2**63) + b"{}", "declares a header of more than"),
    "header over the cap": (build(b"{" + b" " * 2**20 + b"}", b""), "declares a header of more than"),
    "short header": (struct.pack("<Q", 50) + b"{}", "ends inside its header"),
    "header is a list": (build([], b""), "a header that is not an object"),
    "header is no json": (build(b"{a}", b""), "not JSON"),
    "header is not utf-8": (build(b'{"\xff": 1}', b""), "not UTF-8"),
    "name twice": (build(b'{"a":%b,"a":%b}' % ((json.dumps(row(0, 4)).encode(),) * 2), b"\0" * 4), "key given twice"),
    "deep header": (build(b'{"a":' + b"[" * 5 + b"]" * 5 + b"}", b""), "nested deeper"),
    "metadata": (build({"__metadata__": {"format": "pt"}, "a": row(0, 4)}, b"\0" * 4), "letters, digits"),
    "hostile name": (build({"../../etc": row(0, 4)}, b"\0" * 4), "letters, digits"),
    "empty name": (build({"": row(0, 4)}, b"\0" * 4), "letters, digits"),
    "unknown field": (build({"a": row(0, 4) | {"device": "cuda"}}, b"\0" * 4), "tensor a must have exactly"),
    "missing field": (build({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4), "tensor a must have exactly"),
    "row is a list": (build({"a": ["F32", [1], [0, 4]]}, b"\0" * 4), "tensor a must have exactly"),
    "unknown dtype": (build({"a": row(0, 4, "F8_E4M3", [4])}, b"\0" * 4), "tensor a must be of type"),
    "dtype is a list": (build({"a": row(0, 4) | {"dtype": ["F32"]}}, b"\0" * 4), "tensor a must be of type"),
    "negative size": (build({"a": row(0, 4, shape=[-1])}, b"\0" * 4), "tensor a has no shape"),
    "size is true": (build({"a": row(0, 4, shape=[True])}, b"\0" * 4), "tensor a has no shape"),
    "size is a fraction": (build({"a": row(0, 4, shape=[1.0])}, b"\0" * 4), "tensor a has no shape"),
    "size is a text": (build({"a": row(0, 4, shape="1")}, b"\0" * 4), "tensor a has no shape"),
    "too many dimensions": (build({"a": row(0, 4, shape=[1] * 9)}, b"\0" * 4), "tensor a has no shape"),
    "sizes that overflow": (build({"a": row(0, 4, shape=[2**40] * 8)}, b"\0" * 4), "tensor a should take"),
    "one offset": (build({"a": row(0, 4) | {"data_offsets": [0]}}, b"\0" * 4), "tensor a has no place"),
    "negative offset": (build({"a": row(0, 4) | {"data_offsets": [-4, 0]}}, b"\0" * 4), "tensor a has no place"),
    "offsets reversed": (build({"a": row(0, 4) | {"data_offsets": [4, 0]}}, b"\0" * 4), "tensor a should take"),
    "size and offsets differ": (build({"a": row(0, 8, shape=[1])}, b"\0" * 8), "should take 4 bytes; got 8 bytes"),
    "overlap": (build({"a": row(0, 8), "b": row(4, 12)}, b"\0" * 12), "tensor b does not begin where"),
    "gap": (build({"a": row(0, 4), "b": row(8, 12)}, b"\0" * 12), "tensor b does not begin where"),
    "late start": (build({"a": row(4, 8)}, b"\0" * 8), "tensor a does not begin where"),
    "truncated": (build({"a": row(0, 8)}, b"\0" * 7), "should be .* bytes long"),
    "trailing bytes": (build({"a": row(0, 8)}, b"\0" * 9), "should be .* bytes long"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    content, complaint = HOSTILE[name]
    path, digest = keep(tmp_path, content)
    with pytest.raises(ResultError, match=complaint) as refusal:
        check_weights(path, {"a": Tensor("F32", (1,))}, digest)
    assert refusal.value.problems[0].file == str(path)


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array([0, np.nan], dtype=np.float32), "NaN"),
        (np.array([np.inf, 0], dtype=np.float32), "infinity"),
        (np.array([0, -np.inf], dtype=np.float16), "infinity"),
        (np.array([np.nan] + [0] * 600_000, dtype=np.float32)[::-1].copy(), "NaN"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, array: Any, name: str) -> None:
    path, digest = keep(tmp_path, save({"good": np.zeros(3, np.float32), "worse": array}))
    with pytest.raises(ResultError, match=f"tensor worse holds .*{name}"):
        check_weights(path, read_table(path), digest)


def test_brain_floats_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path, digest = keep(tmp_path, build({"a": row(0, 2, "BF16", [1])}, b"\x80\x7f"))
    with pytest.raises(ResultError, match="tensor a holds NaN or infinity"):
        check_weights(path, read_table(path), digest)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({name: tensor for name, tensor in TABLE.items() if name != "half"}, "tensor half does not belong"),
        (TABLE | {"extra": Tensor("F32", (1,))}, "tensor extra is missing"),
        (TABLE | {"half": Tensor("BF16", (2,))}, r"tensor half should be BF16 \[2\]; got F16 \[2\]"),
        (TABLE | {"embed.weight": Tensor("F32", (4, 3))}, r"tensor embed.weight should be F32 \[4, 3\]"),
    ],
)
def test_only_exactly_the_expected_tensors_pass(tmp_path: Path, table: dict[str, Tensor], complaint: str) -> None:
    path, digest = keep(tmp_path, save(ARRAYS))
    with pytest.raises(ResultError, match=complaint):
        check_weights(path, table, digest)


def test_a_swapped_file_is_refused_by_its_digest(tmp_path: Path) -> None:
    path, _ = keep(tmp_path, save(ARRAYS))
    with pytest.raises(ResultError, match="should have the SHA-256"):
        check_weights(path, TABLE, "0" * 64)


def test_a_link_or_a_directory_is_refused(tmp_path: Path) -> None:
    path, digest = keep(tmp_path, save(ARRAYS))
    (tmp_path / "link").symlink_to(path)
    for place in (tmp_path / "link", tmp_path, tmp_path / "missing"):
        with pytest.raises(AamsError):
            check_weights(place, TABLE, digest)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 500), byte=st.integers(0, 255))
def test_no_changed_byte_escapes_as_another_error(tmp_path: Path, place: int, byte: int) -> None:
    content = bytearray(save(ARRAYS))
    content[place % len(content)] = byte
    path, digest = keep(tmp_path, bytes(content))
    try:
        check_weights(path, TABLE, digest)
    except ResultError as error:
        assert str(path) in str(error)
