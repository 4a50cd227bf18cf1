"""Strict reading of safetensors files that came back from compute.

Takes a path, gives the table of tensors, or refuses. Never builds a tensor, never trusts a length: the header is capped
and read as strict JSON, offsets must tile the data exactly, every number must be finite, and names, types and shapes
must be those that were expected. Format: https://github.com/huggingface/safetensors (8 bytes of length, JSON, data).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aams.errors import AamsError, Problem, ResultError
from aams.files import digest_file, open_regular
from aams.strict import read_json

MAX_HEADER_BYTES = 1024 * 1024
MAX_DIMENSIONS = 8
CHUNK = 1 << 20

# Size of one number; and for floats, the unsigned type to read it as and the bits that are all set in NaN and infinity.
_SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}
_EXPONENTS = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}
_NAME = re.compile(r"[A-Za-z0-9_.]{1,256}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of a table: `dtype` is F32, F16, BF16 or I64."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Extent:
    name: str
    tensor: Tensor
    start: int
    stop: int


def read_table(path: Path) -> dict[str, Tensor]:
    """Read which tensors a file holds, in name order, and check that it holds nothing else.

    Raises:
        ResultError: naming the tensor, or the part of the file, that is not allowed.
    """
    with open_regular(path) as stream:
        extents, _ = _read_header(stream, path)
    return {extent.name: extent.tensor for extent in sorted(extents, key=lambda extent: extent.name)}


def check_weights(path: Path, expected: Mapping[str, Tensor], digest: str) -> None:
    """Check that a file holds exactly the expected tensors, all finite, and has the claimed digest.

    Raises:
        ResultError: naming the first tensor that is missing, foreign, of another type or shape, or not finite.
        AamsError: the file is missing or not a regular file.
    """
    got = digest_file(path)
    if got != digest:
        raise _refusal(path, f"should have the SHA-256 {digest}", got)
    with open_regular(path) as stream:
        extents, data_start = _read_header(stream, path)
        found = {extent.name: extent.tensor for extent in extents}
        for name in sorted(set(expected) - set(found)):
            raise _refusal(path, f"tensor {name} is missing")
        for name in sorted(set(found) - set(expected)):
            raise _refusal(path, f"tensor {name} does not belong to this model")
        for name in sorted(expected):
            if found[name] != expected[name]:
                raise _refusal(path, f"tensor {name} should be {_shown(expected[name])}", _shown(found[name]))
        for extent in extents:
            _check_finite(stream, path, extent, data_start)


def _read_header(stream: BinaryIO, path: Path) -> tuple[list[_Extent], int]:
    """Read and check the header; gives the extents in the order of the data, and where the data starts."""
    size = stream.seek(0, 2)
    stream.seek(0)
    if size < 8:
        raise _refusal(path, "is shorter than a safetensors header", f"{size} bytes")
    header_bytes = int.from_bytes(stream.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise _refusal(path, f"declares a header of more than {MAX_HEADER_BYTES} bytes", f"{header_bytes} bytes")
    if header_bytes > size - 8:
        raise _refusal(path, "ends inside its header", f"{size} bytes")
    try:
        header = read_json(stream.read(header_bytes), str(path), MAX_HEADER_BYTES, max_depth=4)
    except AamsError as error:
        raise ResultError(*error.problems) from None
    if not isinstance(header, dict):
        raise _refusal(path, "has a header that is not an object")
    extents = sorted(
        (_extent(path, name, row) for name, row in header.items()), key=lambda extent: (extent.start, extent.stop)
    )
    end = 0
    for extent in extents:
        if extent.start != end:
            raise _refusal(
                path, f"tensor {extent.name} does not begin where the one before it ends", f"{extent.start}, not {end}"
            )
        end = extent.stop
    if 8 + header_bytes + end != size:
        raise _refusal(path, f"should be {8 + header_bytes + end} bytes long", f"{size} bytes")
    return extents, 8 + header_bytes


def _extent(path: Path, name: str, row: Any) -> _Extent:
    if not _NAME.fullmatch(name) or name == "__metadata__":
        raise _refusal(path, "names a tensor with something else than letters, digits, _ and .", repr(name[:80]))
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        raise _refusal(path, f"tensor {name} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise _refusal(path, f"tensor {name} must be of type {', '.join(_SIZES)}", repr(dtype)[:80])
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise _refusal(path, f"tensor {name} has no shape", repr(shape)[:80])
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise _refusal(path, f"tensor {name} has no place in the file", repr(offsets)[:80])
    wanted = _SIZES[dtype] * math.prod(shape)
    if offsets[1] - offsets[0] != wanted:
        raise _refusal(path, f"tensor {name} should take {wanted} bytes", f"{offsets[1] - offsets[0]} bytes")
    return _Extent(name, Tensor(dtype, tuple(shape)), offsets[0], offsets[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**48 for item in value)


def _check_finite(stream: BinaryIO, path: Path, extent: _Extent, data_start: int) -> None:
    if extent.tensor.dtype not in _EXPONENTS:
        return
    unsigned, exponent = _EXPONENTS[extent.tensor.dtype]
    stream.seek(data_start + extent.start)
    left = extent.stop - extent.start
    while left:
        piece = stream.read(min(CHUNK, left))
        left -= len(piece)
        bits = np.frombuffer(piece, unsigned)
        if np.any((bits & exponent) == exponent):
            raise _refusal(path, f"tensor {extent.name} holds NaN or infinity")


def _shown(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _refusal(path: Path, what: str, got: str = "") -> ResultError:
    return ResultError(Problem(what, got, "train it again", str(path)))
