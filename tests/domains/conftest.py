"""What the room's tests share: one cache, and whitelist entries to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domains import find_corpus, prepare
from domains.base import Corpus, Prepared


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    """Gives a domain's active corpus, prepared once for all tests."""
    cache = tmp_path_factory.mktemp("cache")
    return lambda domain: prepare(domain, cache=cache)


@pytest.fixture
def entry() -> Callable[..., Corpus]:
    """Gives an entry of a whitelist with some fields changed."""

    def change(domain: str, corpus_id: str | None = None, **fields: Any) -> Corpus:
        return replace(find_corpus(domain, corpus_id), **fields)

    return change


@pytest.fixture
def whitelist(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Writes a whitelist with one piece of its text changed."""

    def write(domain: str, old: str, new: str) -> Path:
        text = (Path(__file__).parents[2] / "domains" / domain / "corpora.yaml").read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "corpora.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return write
