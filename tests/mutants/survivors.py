"""Holds the mutants that live against `equivalent.toml`, which says why no test could kill them.

Takes what `mutmut run` left in `mutants/`; prints every mutant that lives and isn't listed, and every listed one that
lives no more, as a change from - to +, and every test that mutmut can't find again. Fails when there is one. A mutant
that differs only in string literals with two words in them, which people read and no code compares, is not counted.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from difflib import unified_diff
from io import StringIO
from pathlib import Path

import pytest
from libcst import Module
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import read_functions_from_index
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

DEAD = ("killed", "timeout", "caught by type check")


class Wordless(ast.NodeTransformer):
    """Empties every string literal with two words in it."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) and re.search(r"\w \w", node.value) else node


class Names:
    """Notes the name of each test that pytest collects."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.found |= {item.nodeid for item in items}


def renamed() -> set[str]:
    """Tests with another name once they are collected again: a backslash in what `ids=` gives is escaped each time.

    mutmut collects in one process over and over. Where pytest finds no test of the first name, every mutant that this
    test covers would count as killed.
    """
    first, again = Names(), Names()
    for names in (first, again):
        with redirect_stdout(StringIO()) as said:
            if pytest.main(["--collect-only", "-q", *config().pytest_add_cli_args_test_selection], plugins=[names]):
                raise RuntimeError(said.getvalue())
    return first.found - again.found


def living() -> Iterator[tuple[str, str]]:
    """Function and change of every mutant that nothing killed."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            versions = None if status_by_exit_code[code] in DEAD else read_functions_from_index(name, path)
            if versions is None:
                continue
            was, became = (Module([]).code_for_node(version) for version in versions)
            if len({ast.dump(Wordless().visit(ast.parse(version))) for version in (was, became)}) == 2:
                lines = list(unified_diff(was.splitlines(), became.splitlines(), n=0))[2:]
                change = "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if not line.startswith("@@"))
                yield name.partition("__mutmut_")[0].replace(".x_", "."), change


def main() -> int:
    listed = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text(encoding="utf-8")).get(
        "equivalent", []
    )
    known, found = Counter((one["function"], one["change"].strip()) for one in listed), Counter(living())
    lost = renamed()
    for name in sorted(lost):
        print(f"{name}: is not found again\n")
    for what, changes in (("lives", found - known), ("is listed and lives no more", known - found)):
        for (function, change), times in sorted(changes.items()):
            print(f"{function}: {times} × {what}\n{change}\n")
    print(f"{found.total()} mutants live, {known.total()} are listed as equivalent")
    return int(bool(lost) or found != known)


if __name__ == "__main__":
    sys.exit(main())
