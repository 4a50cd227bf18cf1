from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.records import Pair, Scores
from evaluator.picture import HEIGHT, MARGIN, WIDTH, picture

SVG = "{http://www.w3.org/2000/svg}"
SCORES = st.integers(0, 1000).map(lambda number: number / 1000)
GAINS = (0.031, -0.004, 0.0, 0.052)


def pairs_of(gains: Sequence[float]) -> tuple[Pair, ...]:
    return tuple(Pair(number, Scores(0.8, 0.5 + gain, 2.5), Scores(0.8, 0.5, 2.6)) for number, gain in enumerate(gains))


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own text


def heights(text: str) -> list[float]:
    return [float(dot.attrib["cy"]) for dot in drawn(text).iter(f"{SVG}circle")]


def test_every_pair_is_one_dot_in_order() -> None:
    picked = drawn(picture(pairs_of(GAINS), 0.02))
    dots = list(picked.iter(f"{SVG}circle"))
    assert len(dots) == len(GAINS)
    across = [float(dot.attrib["cx"]) for dot in dots]
    assert across == sorted(set(across))
    assert [text.text for text in picked.iter(f"{SVG}text")][-len(GAINS) :] == ["1", "2", "3", "4"]


def test_a_larger_gain_is_higher_and_none_lies_on_the_zero() -> None:
    places = heights(picture(pairs_of(GAINS), 0.02))
    assert places[3] < places[0] < places[2] < places[1]
    assert places[2] == HEIGHT / 2


def test_zero_the_wanted_gain_and_the_mean_are_lines_with_their_numbers() -> None:
    picked = drawn(picture(pairs_of(GAINS), 0.02))
    zero, wanted, mean = picked.iter(f"{SVG}line")
    assert zero.attrib["y1"] == zero.attrib["y2"] == f"{HEIGHT / 2:.1f}"
    assert "stroke-dasharray" in wanted.attrib and "stroke-dasharray" not in zero.attrib
    assert mean.attrib["class"] == "mean"
    assert float(wanted.attrib["y1"]) < float(zero.attrib["y1"])
    assert float(wanted.attrib["y1"]) == pytest.approx(float(mean.attrib["y1"]), abs=0.5), "the mean is 0.01975"
    assert [text.text for text in picked.iter(f"{SVG}text")][:3] == ["0", "+0.02", "+0.020"]


@given(st.lists(st.tuples(SCORES, SCORES), max_size=32), st.floats(0, 1))
def test_any_picture_is_xml_in_ascii_with_everything_inside_of_it(
    scores: list[tuple[float, float]], wanted: float
) -> None:
    pairs = [Pair(number, Scores(0, child, 0), Scores(0, control, 0)) for number, (child, control) in enumerate(scores)]
    text = picture(pairs, wanted)
    assert text.isascii() and text.endswith("</svg>\n")
    picked = drawn(text)
    assert picked.attrib["viewBox"] == f"0 0 {WIDTH} {HEIGHT}"
    for element in picked.iter():
        for name, value in element.attrib.items():
            if name in ("x", "x1", "x2", "cx"):
                assert MARGIN - 4 <= float(value) <= WIDTH - MARGIN + 4
            elif name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= HEIGHT
    assert len(heights(text)) == len(scores)


def test_words_are_numbers_only() -> None:
    picked = drawn(picture(pairs_of(GAINS), 0.02))
    said = [element.text or "" for element in picked.iter(f"{SVG}text")]
    assert all(re.fullmatch(r"[+-]?[0-9.]+", text) for text in said)
    assert [element.text for element in picked.iter(f"{SVG}title")] == ["Paired differences of 4 pairs"]
    assert {element.tag.removeprefix(SVG) for element in picked.iter()} == {
        *("svg", "title", "style", "line", "text", "circle"),
    }


def test_equal_pairs_give_equal_bytes() -> None:
    assert picture(pairs_of(GAINS), 0.02) == picture(list(pairs_of(GAINS)), 0.02)
    assert picture(pairs_of(GAINS), 0.02) != picture(pairs_of(GAINS[::-1]), 0.02)


def test_runs_without_a_control_are_no_pairs() -> None:
    text = picture([Pair(0, Scores(0.8, 0.5, 2.5), None)], 0.02)
    assert heights(text) == heights(picture([], 0.02)) == []
    assert "Paired differences of 0 pairs" in text
