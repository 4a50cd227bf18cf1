"""Base images, and that no handwriting stands on two sides."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from aams.errors import AamsError
from domains import find_corpus
from domains.base import Prepared
from domains.digits import parse, split_bases


@pytest.mark.parametrize("domain", ["vision", "hybrid"])
def test_no_base_image_stands_in_two_splits(prepared: Callable[[str], Prepared], domain: str) -> None:
    bases = split_bases(find_corpus(domain))
    pixels = {split: {image.tobytes() for image in part.pixels} for split, part in bases.items()}
    assert sum(map(len, pixels.values())) == 1797
    assert not any(pixels[one] & pixels[other] for one, other in itertools.combinations(pixels, 2))
    assert all(set(part.labels.tolist()) == set(range(10)) for part in bases.values())
    held = prepared(domain).holdout["bases"]
    assert {image.tobytes() for image in held} == pixels["holdout"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not gzip", id="not gzip"),
        pytest.param(gzip.compress(b"1,2,3"), id="too few columns"),
        pytest.param(gzip.compress(b"1,x"), id="not a number"),
        pytest.param(gzip.compress(b"17," * 64 + b"3"), id="too bright"),
        pytest.param(gzip.compress(b"1,2 3"), id="two numbers in a column"),
        pytest.param(gzip.compress(b"1," * 64 + b"3")[:-9], id="cut short"),
    ],
)
def test_a_file_that_is_not_the_digits_is_an_error(content: bytes) -> None:
    with pytest.raises(AamsError, match="the digits can't be read"):
        parse(content)


def test_a_line_is_an_image_and_its_label() -> None:
    bases = parse(gzip.compress(b"1," * 64 + b"3\n"))
    assert bases.labels.tolist() == [3]
    assert np.all(bases.pixels == 1)
