"""Preparing and caching the embedded corpora."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aams.errors import AamsError
from domains import DOMAINS, draw_holdout, find_corpus, prepare
from domains.base import Corpus, Prepared
from domains.store import place, recall, store

DIGESTS = {
    "language": "f3d2ff6a5687e78696f2e4f160dd484b92ce1d77ddd947cefe90f65c615376f9",
    "vision": "238cd2048de204c3054a8c95786dec22ac6e230aa6e25e4e823e35148d772e5d",
    "hybrid": "396b113731e0d9f485ac037cdf292e6dcead31fa0450d8649fc37b2f459f6c67",
}
"""Golden: a generator that changes one byte is a new loader, and a new lineage."""

Give = Callable[[str], Prepared]
SCRIPT = """
import sys
from domains import DOMAINS, find_corpus
for domain in ("vision", "hybrid", "language"):
    print(DOMAINS[domain].prepare(find_corpus(domain)).digest)
"""


@pytest.mark.parametrize("domain", DOMAINS)
def test_arrays_have_the_digest_they_always_had(prepared: Give, domain: str) -> None:
    assert prepared(domain).digest == DIGESTS[domain]


def test_another_process_with_another_hash_seed_gives_the_same_digests() -> None:
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said == [DIGESTS[domain] for domain in ("vision", "hybrid", "language")]


@pytest.mark.parametrize("domain", DOMAINS)
def test_arrays_have_the_sizes_and_types_that_the_domain_declares(prepared: Give, domain: str) -> None:
    one = prepared(domain)
    assert set(one.arrays) == {"train", "validation", "replay", "probe"}
    for split, arrays in one.arrays.items():
        assert all(array.dtype == np.uint8 for array in arrays.values())
        if split != "train":
            assert {len(array) for array in arrays.values()} == {DOMAINS[domain].EVALUATED[split]}


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_second_time_comes_from_the_cache(tmp_path: Path, prepared: Give, domain: str) -> None:
    first = prepared(domain)
    store(tmp_path, find_corpus(domain), first)
    again = recall(tmp_path, find_corpus(domain))
    assert again is not None
    assert again.digest == first.digest
    for split, arrays in first.arrays.items():
        assert all(np.array_equal(again.arrays[split][name], array) for name, array in arrays.items())


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_truncated, damage_flipped, Path.unlink])
@pytest.mark.parametrize("file", ["train.safetensors", "holdout.safetensors", "digest.json"])
def test_a_damaged_cache_is_not_believed(
    tmp_path: Path, prepared: Give, damage: Callable[[Path], None], file: str
) -> None:
    corpus = find_corpus("hybrid")
    store(tmp_path, corpus, prepared("hybrid"))
    damage(place(tmp_path, corpus) / file)
    assert recall(tmp_path, corpus) is None


def test_a_damaged_cache_is_built_again(tmp_path: Path, prepared: Give) -> None:
    directory = place(tmp_path, find_corpus("hybrid"))
    store(tmp_path, find_corpus("hybrid"), prepared("hybrid"))
    (directory / "digest.json").write_text("{}")
    assert prepare("hybrid", cache=tmp_path).digest == DIGESTS["hybrid"]
    assert recall(tmp_path, find_corpus("hybrid")) is not None


def test_another_entry_has_another_place(tmp_path: Path, entry: Callable[..., Corpus]) -> None:
    assert place(tmp_path, entry("vision")) != place(tmp_path, entry("vision", licence="other"))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_holdout_follows_its_seed_and_nothing_else(prepared: Give, domain: str) -> None:
    one, same, other = (draw_holdout(domain, prepared(domain), seed, 2) for seed in (b"a", b"a", b"b"))
    assert {name: len(array) for name, array in one.items()} == dict.fromkeys(
        one, 2 * DOMAINS[domain].EVALUATED["holdout"]
    )
    name = "tokens" if domain == "language" else "images"
    assert np.array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])


@pytest.mark.parametrize("domain", ["vision", "hybrid"])
def test_a_drawn_block_is_the_same_however_many_are_asked_for(prepared: Give, domain: str) -> None:
    one, three = (draw_holdout(domain, prepared(domain), b"seed", blocks) for blocks in (1, 3))
    assert all(np.array_equal(one[name], three[name][: len(one[name])]) for name in one)
    images = three["images"].reshape(len(three["images"]), -1)
    assert len(np.unique(images, axis=0)) == len(images)


def test_more_text_blocks_than_there_are_windows_is_an_error(prepared: Give) -> None:
    with pytest.raises(AamsError, match=r"can't fill 1000 blocks of 60 items; got \d+ items"):
        draw_holdout("language", prepared("language"), b"", 1000)


@pytest.mark.parametrize("domain", ["vision", "hybrid"])
def test_replay_is_part_of_what_is_trained_on_and_nothing_else_is(prepared: Give, domain: str) -> None:
    arrays = prepared(domain).arrays
    trained = {image.tobytes() for image in arrays["train"]["images"]}
    assert all(image.tobytes() in trained for image in arrays["replay"]["images"])
    for split in ("validation", "probe"):
        assert all(image.tobytes() not in trained for image in arrays[split]["images"])


@pytest.mark.parametrize(
    ("domain", "source"), [("vision", "scikit-learn"), ("hybrid", "scikit-learn"), ("language", "numpy")]
)
def test_another_version_of_a_package_is_named(entry: Callable[..., Corpus], domain: str, source: str) -> None:
    with pytest.raises(AamsError, match=rf"needs {source} 0\.1; got .*; install {source}==0\.1"):
        DOMAINS[domain].prepare(entry(domain, revision="0.1"))


@pytest.mark.parametrize("domain", DOMAINS)
def test_other_content_than_pinned_is_refused(entry: Callable[..., Corpus], domain: str) -> None:
    with pytest.raises(
        AamsError, match=r"is not what the whitelist pins: sha256 0{64} by rule \w+; got [0-9a-f]{64} from"
    ):
        DOMAINS[domain].prepare(entry(domain, digest="0" * 64))
