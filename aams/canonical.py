"""Canonical forms: what gets hashed, and how records become JSON and come back.

Takes plain data or records, gives bytes, digests and records. Never touches a file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import sys
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union

import rfc8785

from aams.errors import AamsError, Problem

T = TypeVar("T")

MAX_INTEGER = 2**53 - 1
SHA256 = re.compile(r"[0-9a-f]{64}")


def canonical_json(data: Any) -> bytes:
    """Serialise plain data by RFC 8785 (sorted keys, shortest numbers, no spaces).

    Raises:
        AamsError: the data holds NaN, an infinity, an integer beyond 2**53 or something that is not JSON.
    """
    try:
        return rfc8785.dumps(data)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise AamsError(Problem("data has no canonical JSON", got=str(error))) from None


def sha256(content: bytes) -> str:
    """Digest of exact bytes: 64 lowercase hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digest(data: Any) -> str:
    """Digest of plain data: the SHA-256 of its canonical JSON."""
    return sha256(canonical_json(data))


def to_data(value: Any) -> Any:
    """Turn a record, or a container of records, into plain JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_data(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    return value


def from_data(kind: type[T], data: Any, source: str = "") -> T:
    """Read plain JSON data back into a record, strictly: exact keys, exact types, finite numbers.

    Args:
        kind: a dataclass whose fields are JSON types, tuples, mappings, unions with None, or other records.
        data: what `to_data` gave, or a stranger's JSON that claims to be it.
        source: the file or message the data came from, for the error.

    Raises:
        AamsError: naming the path of the first thing that does not fit.
    """
    return typing.cast(T, _read(kind, data, "", source))


def _read(kind: Any, data: Any, path: str, source: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _read_record(kind, data, path, source)
    if origin in (Union, types.UnionType):
        choices = typing.get_args(kind)
        if data is None and type(None) in choices:
            return None
        return _read(next(choice for choice in choices if choice is not type(None)), data, path, source)
    if origin is tuple:
        if not isinstance(data, list):
            raise _misfit("a list", data, path, source)
        item = typing.get_args(kind)[0]
        return tuple(_read(item, value, f"{path}[{index}]", source) for index, value in enumerate(data))
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            raise _misfit("an object", data, path, source)
        item = typing.get_args(kind)[1]
        return {key: _read(item, value, f"{path}.{key}", source) for key, value in data.items()}
    if origin is Literal:
        if not isinstance(data, str) or data not in typing.get_args(kind):
            raise _misfit("one of " + ", ".join(typing.get_args(kind)), data, path, source)
        return data
    if kind is float and type(data) in (int, float):
        if not -sys.float_info.max <= data <= sys.float_info.max:
            raise _misfit("a finite number", data, path, source)
        return float(data)
    if type(data) is int and abs(data) > MAX_INTEGER:
        raise _misfit("an integer of at most 2**53 - 1 in size", data, path, source)
    if kind is Decimal and type(data) in (int, Decimal):
        return Decimal(data)
    if type(data) is not kind:
        raise _misfit(
            {str: "a string", int: "an integer", bool: "true or false"}.get(kind, "a number"), data, path, source
        )
    return data


_hints = functools.cache(typing.get_type_hints)


def _read_record(kind: Any, data: Any, path: str, source: str) -> Any:
    if not isinstance(data, dict):
        raise _misfit("an object", data, path, source)
    hints = _hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for key in data:
        if key not in names:
            raise AamsError(
                Problem("unknown key", got=repr(key), advice="remove it", path=path.removeprefix("."), file=source)
            )
    for name in names:
        if name not in data:
            raise AamsError(Problem(f"key {name!r} is missing", path=path.removeprefix("."), file=source))
    return kind(**{name: _read(hints[name], data[name], f"{path}.{name}", source) for name in names})


def _misfit(wanted: str, got: Any, path: str, source: str) -> AamsError:
    shown = repr(got)
    return AamsError(
        Problem(
            f"must be {wanted}",
            got=shown if len(shown) < 80 else shown[:77] + "...",
            path=path.removeprefix("."),
            file=source,
        )
    )
