"""The docstrings of the pinned NumPy: 1.7 MB of technical English with mathematics and examples.

Takes a corpus, gives its documents. The source is parsed and never imported. What differs between wheels is left out:
`distutils` (shipped for Python 3.11 only), `__config__.py`, `version.py`; so are the tests. Docstrings are cleaned
here and not by `inspect.cleandoc`, whose rules belong to a Python version.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from aams.errors import failure
from aams.files import read_bounded
from domains.base import Corpus
from domains.installed import package_directory

LEFT_OUT = frozenset({"tests", "distutils", "__config__.py", "version.py"})
SHORTEST = 32
MAX_FILE_BYTES = 2**22

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_docstrings(corpus: Corpus) -> list[str]:
    """Read the distinct docstrings of at least SHORTEST characters, sorted.

    Raises:
        AamsError: the pinned NumPy isn't installed, or one of its files can't be parsed.
    """
    root = package_directory(corpus, "numpy")
    found = {clean(text) for path in _sources(root) for text in _docstrings(path)}
    return sorted(text for text in found if len(text) >= SHORTEST)


def clean(text: str) -> str:
    """Normalise a docstring: spaces for tabs, common indentation off, no space at line ends, no blank lines around.

    The first line, which follows the quotes, has no indentation to share.
    """
    lines = [line.expandtabs(8).rstrip(" ") for line in text.replace("\r\n", "\n").split("\n")]
    indentation = min((len(line) - len(line.lstrip(" ")) for line in lines[1:] if line), default=0)
    return "\n".join([lines[0].lstrip(" "), *(line[indentation:] for line in lines[1:])]).strip("\n")


def _sources(root: Path) -> Iterator[Path]:
    for path in root.rglob("*.py"):
        if LEFT_OUT.isdisjoint(path.relative_to(root).parts):
            yield path


def _docstrings(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(read_bounded(path, MAX_FILE_BYTES))
    except (SyntaxError, ValueError) as error:
        raise failure("can't be parsed", error, "reinstall NumPy", file=str(path)) from None
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node, clean=False)):
            yield text
