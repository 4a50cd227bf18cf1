"""Docstrings as documents, and windows of bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.errors import AamsError
from domains import find_corpus
from domains.base import Prepared
from domains.language.docstrings import clean, read_docstrings
from domains.language.windows import cut_passages, cut_windows, drop_seen


def test_documents_are_distinct_sorted_and_clean() -> None:
    texts = read_docstrings(find_corpus("language"))
    assert texts == sorted(set(texts))
    assert sum(map(len, texts)) > 1_500_000
    assert all(line == line.rstrip(" ") and "\t" not in line for text in texts[:200] for line in text.split("\n"))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("One.\n\n    Two\n      three\n    ", "One.\n\nTwo\n  three"),
        ("\n    One.\n\tTwo\n", "One.\n    Two"),
        ("  One  \r\n  Two", "One\nTwo"),
        ("", ""),
        ("\n \n", ""),
    ],
)
def test_cleaning_takes_common_indentation_and_trailing_space_off(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(alphabet=" \t\nab", max_size=40))
def test_cleaning_twice_changes_nothing_more_than_once_at_the_left_margin(text: str) -> None:
    flush = clean(text).replace("\n ", "\n")
    assert clean(clean(flush)) == clean(flush)


def test_a_file_that_does_not_parse_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    monkeypatch.setattr(np.__spec__, "submodule_search_locations", [str(tmp_path)])
    with pytest.raises(AamsError, match=r"broken\.py: can't be parsed; got .*; reinstall NumPy"):
        read_docstrings(find_corpus("language"))


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 16))
def test_windows_make_every_byte_a_target_once(documents: list[bytes], length: int) -> None:
    windows = cut_windows(documents, length)
    stream = b"\0".join(documents)
    assert windows.shape == (max(len(stream) - 1, 0) // length, length + 1)
    targets = windows[:, 1:].tobytes()
    assert targets == stream[1 : 1 + len(targets)]
    assert windows[:, :-1].tobytes() == stream[: len(targets)]


@given(st.text(alphabet="ab\n", max_size=300))
def test_passages_lose_nothing(text: str) -> None:
    assert "".join(cut_passages(text)) == text + "\n\n"


def test_passages_are_cut_at_blank_lines_once_they_are_long() -> None:
    speech = "x" * 1500
    assert [len(passage) for passage in cut_passages("\n\n".join([speech] * 5))] == [3004, 3004, 1502]


def test_only_replay_was_trained_on(prepared: Callable[[str], Prepared]) -> None:
    one = prepared("language")
    trained = one.arrays["train"]["tokens"].tobytes()
    assert all(window.tobytes() in trained for window in one.arrays["replay"]["tokens"])
    for windows in (one.arrays["validation"]["tokens"], one.arrays["probe"]["tokens"], one.holdout["tokens"]):
        assert not any(window[33:224].tobytes() in trained for window in windows[:100])


@given(st.binary(min_size=300, max_size=400), st.integers(0, 109), st.integers(0, 66))
def test_a_window_that_training_text_gives_away_is_dropped(trained: bytes, start: int, place: int) -> None:
    window = bytearray(b"x" * 257)
    window[place : place + 191] = trained[start : start + 191]
    windows = np.frombuffer(bytes(window), dtype=np.uint8).reshape(1, 257)
    assert len(drop_seen(windows, trained)) == 0
    assert len(drop_seen(windows, b"other" * 50)) == 1
