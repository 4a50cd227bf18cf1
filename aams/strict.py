"""Strict reading of YAML and JSON that may come from anybody.

Takes bytes, gives plain data and, for YAML, the place of every value. Refuses what two readers could understand
differently (tags, anchors, duplicate keys, octal, sexagesimal, yes/no, NaN) before it builds anything, and what could
exhaust a machine (size, depth, node count) before it parses. Never writes and never constructs a Python object beyond
dict, list, str, int, float and bool.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aams.errors import AamsError, Problem

Path = tuple[str | int, ...]

MAX_YAML_BYTES = 64 * 1024
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 12
MAX_NODES = 2000

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?\Z")
# A string that never ends is one match too: looking for its end again from every quote inside would be quadratic.
_NO_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^\[\]{}"]+', re.DOTALL)
_AMBIGUOUS = re.compile(
    r"(?:~|null|yes|no|on|off|y|n|true|false|[-+]?\.(?:inf|nan)|[-+]?[0-9][0-9_.,:eExXoObBa-fA-F+-]*|[-+.][0-9].*)\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data read from one YAML text, with the line and column (from 1) of every value by its path."""

    data: Any
    places: dict[Path, tuple[int, int]]
    source: str

    def problem(self, path: Path, what: str, got: object = "", advice: str = "") -> Problem:
        """Describe something wrong at `path`; a missing value is placed at its nearest existing parent."""
        known = path
        while known not in self.places and known:
            known = known[:-1]
        line, column = self.places.get(known, (0, 0))
        return Problem(what, str(got), advice, self.source, line, column, path_text(path))


def path_text(path: Path) -> str:
    """Write a path as people do: `model.blocks[2].mixer.heads`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_yaml(content: bytes, source: str, parse_float: Callable[[str], Any] = float) -> Document:
    """Read one strict YAML document.

    Args:
        content: the file's exact bytes, at most 64 KiB of UTF-8.
        source: the name to show in errors.
        parse_float: builds the numbers that are not integers from their text; `decimal.Decimal` keeps them exact.

    Raises:
        AamsError: with the line and column of the first thing that is not allowed.
    """
    text = _decode(content, source, MAX_YAML_BYTES)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = YAML(typ="safe", pure=True)
    try:
        events = _Events(reader.parse(text), source, parse_float)
        return Document(events.document(), events.places, source)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise AamsError(
            Problem("not YAML: " + str(error.problem or error.context), file=source, line=line, column=column)
        ) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise AamsError(Problem("not YAML: " + str(error).splitlines()[0], file=source)) from None


class _Events:
    """Builds plain data from parse events, refusing on the way."""

    def __init__(self, events: Iterator[Any], source: str, parse_float: Callable[[str], Any]) -> None:
        self.events = events
        self.source = source
        self.parse_float = parse_float
        self.places: dict[Path, tuple[int, int]] = {}
        self.node_count = 0

    def refuse(self, event: Any, what: str, got: str = "", advice: str = "") -> AamsError:
        mark = event.start_mark
        return AamsError(Problem(what, got, advice, self.source, mark.line + 1, mark.column + 1))

    def document(self) -> Any:
        self.take("StreamStartEvent")
        first = next(self.events)
        if type(first).__name__ == "StreamEndEvent":
            raise AamsError(Problem("the file is empty", advice="start from a baseline.yaml", file=self.source))
        if first.version or first.tags:
            raise self.refuse(first, "directives are not allowed", advice="remove the line that starts with %")
        data = self.value(next(self.events), ())
        self.take("DocumentEndEvent")
        extra = next(self.events)
        if type(extra).__name__ != "StreamEndEvent":
            raise self.refuse(extra, "a second document in one file", advice="keep one document a file")
        return data

    def take(self, kind: str) -> None:
        event = next(self.events)
        if type(event).__name__ != kind:
            raise self.refuse(event, "unexpected YAML structure", type(event).__name__)

    def value(self, event: Any, path: Path) -> Any:
        self.node_count += 1
        if self.node_count > MAX_NODES:
            raise self.refuse(event, f"more than {MAX_NODES} values in one file")
        if len(path) > MAX_DEPTH:
            raise self.refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        kind = type(event).__name__
        if kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
            raise self.refuse(event, "anchors and aliases are not allowed", advice="write the value out")
        if getattr(event, "tag", None) is not None:
            raise self.refuse(event, "tags are not allowed", got=str(event.tag), advice="remove it")
        self.places[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if kind == "ScalarEvent":
            return self.scalar(event)
        if kind == "MappingStartEvent":
            return self.mapping(path)
        return self.sequence(path)

    def mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        place = self.places[path]
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            if type(event).__name__ != "ScalarEvent":
                raise self.refuse(event, "a key must be plain text")
            key = self.value(event, path)
            if not isinstance(key, str):
                raise self.refuse(event, "a key must be text", got=repr(key))
            if key == "<<":
                raise self.refuse(event, "merge keys are not allowed", advice="write the values out")
            if key in result:
                raise self.refuse(event, "a key is given twice", got=key, advice="keep one of them")
            result[key] = self.value(next(self.events), (*path, key))
        self.places[path] = place
        return result

    def sequence(self, path: Path) -> list[Any]:
        result: list[Any] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            result.append(self.value(event, (*path, len(result))))
        return result

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style is not None:
            for character in text:
                if _is_invisible(character):
                    raise self.refuse(
                        event, "an invisible or control character", f"U+{ord(character):04X}", "remove it"
                    )
            return text
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.match(text):
            return int(text)
        if _DECIMAL.match(text):
            if math.isinf(float(text)):
                raise self.refuse(event, "a number beyond the range of a double", got=text)
            return self.parse_float(text)
        if not text:
            raise self.refuse(event, "a value is missing", advice="write it, or remove the key")
        if _AMBIGUOUS.match(text):
            raise self.refuse(
                event,
                "two YAML readers could read this value differently",
                got=text,
                advice="write true or false, or a plain decimal number, or quote it",
            )
        return text


def read_json(content: bytes, source: str, max_bytes: int = MAX_JSON_BYTES, max_depth: int = 32) -> Any:
    """Read strict JSON: UTF-8, unique keys, finite numbers, bounded size and depth.

    Whole numbers beyond 2**53 become floats, as RFC 8785 writes large floats.

    Raises:
        AamsError: naming what is not allowed.
    """
    text = _decode(content, source, max_bytes)
    if _is_deeper(text, max_depth):
        raise AamsError(Problem(f"nested deeper than {max_depth} levels", file=source))
    try:
        data = json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise AamsError(Problem(f"not JSON: {error.msg}", file=source, line=error.lineno, column=error.colno)) from None
    except ValueError as error:
        raise AamsError(Problem(f"not strict JSON: {error}", file=source)) from None
    return data


def _is_deeper(text: str, max_depth: int) -> bool:
    """Whether JSON is nested deeper: what is left of its brackets when the innermost pairs go, so many times.

    Without a step of Python for every bracket: millions of them would take seconds. Text that is no JSON and not
    called deep is shallow enough for the parser, which refuses it.
    """
    left = _NO_BRACKETS.sub("", text).replace("{", "[").replace("}", "]")
    for _ in range(max_depth):
        left = left.replace("[]", "")
    opened = left.count("[")
    return opened > max_depth or (opened == left.count("]") and left.startswith("["))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError("key given twice: " + repr(name))
            seen.add(name)
    return result


def _whole(text: str) -> int | float:
    number = _finite(text)
    return int(text) if abs(number) < 2**53 else number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is beyond the range of a double")
    return number


def _decode(content: bytes, source: str, max_bytes: int) -> str:
    if len(content) > max_bytes:
        raise AamsError(Problem(f"larger than {max_bytes} bytes", got=f"{len(content)} bytes", file=source))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AamsError(
            Problem("not UTF-8", got=f"byte 0x{content[error.start]:02x} at offset {error.start}", file=source)
        ) from None
    if max_bytes == MAX_YAML_BYTES:
        _refuse_invisible(text, source)
    return text


def _refuse_invisible(text: str, source: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line.removesuffix("\r"), start=1):
            if _is_invisible(character):
                raise AamsError(
                    Problem(
                        "an invisible or control character",
                        got=f"U+{ord(character):04X}",
                        advice="remove it",
                        file=source,
                        line=number,
                        column=column,
                    )
                )


def _is_invisible(character: str) -> bool:
    if character in "\t\n" or " " <= character <= "~":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
