"""Hub corpora, read from data sets that the same library wrote to disk in a hub repository's layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aams.errors import AamsError
from domains import DOMAINS, active_interface
from domains.base import Corpus, Splits
from domains.language.windows import cut_passages
from domains.splits import contents_digest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
pytest.importorskip("PIL", reason="the extra `hub` is not installed: pictures need Pillow")

EVEN = Splits(train=4, replay=1, validation=2, probe=1, holdout=2)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def save(directory: Path, splits: dict[str, dict[str, Any]], features: Any = None) -> str:
    for split, columns in splits.items():
        path = directory / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
    return str(directory)


def pictures(count: int, shape: tuple[int, ...], name: str = "image") -> tuple[dict[str, Any], Any]:
    from PIL import Image

    random = np.random.default_rng(count)
    arrays = [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
    names = [str(number) for number in range(10)]
    features = datasets.Features({name: datasets.Image(), "label": datasets.ClassLabel(names=names)})
    return {name: [Image.fromarray(array) for array in arrays], "label": [n % 10 for n in range(count)]}, features


@pytest.mark.parametrize(
    ("corpus_id", "shape", "name"),
    [("mnist", (28, 28), "image"), ("fashion-mnist", (28, 28), "image"), ("cifar-10", (32, 32, 3), "img")],
)
def test_images_become_splits_without_a_duplicate(
    tmp_path: Path, entry: Callable[..., Corpus], corpus_id: str, shape: tuple[int, ...], name: str
) -> None:
    (train, features), (test, _) = pictures(60, shape, name), pictures(20, shape, name)
    test[name].append(train[name][0])
    test["label"].append(train["label"][0])
    source = save(tmp_path / "set", {"train": train, "test": test}, features)
    prepared = DOMAINS["vision"].prepare(entry("vision", corpus_id, source=source, splits=EVEN))
    channels = 3 if len(shape) == 3 else 1
    parts = {split: arrays["images"] for split, arrays in {**prepared.arrays, "holdout": prepared.holdout}.items()}
    assert all(part.shape[1:] == (channels, *shape[:2]) for part in parts.values())
    seen = {split: {image.tobytes() for image in part} for split, part in parts.items()}
    assert seen.pop("replay") < seen["train"]
    assert len(set().union(*seen.values())) == sum(map(len, seen.values())) == 80
    first = np.asarray(train[name][0]).reshape(*shape[:2], channels).transpose(2, 0, 1)
    assert sum(first.tobytes() in part for part in seen.values()) == 1
    blocks = DOMAINS["vision"].draw_holdout(prepared, b"seed", 2, 3)
    assert {image.tobytes() for image in blocks["images"]} < seen["holdout"]
    with pytest.raises(AamsError, match="can't fill 2 blocks of 1000 items"):
        DOMAINS["vision"].draw_holdout(prepared, b"seed", 2)


def test_stories_become_windows(tmp_path: Path, entry: Callable[..., Corpus]) -> None:
    stories = [f"Once upon a time there were {number} small dogs. " * 8 for number in range(200)]
    source = save(tmp_path / "set", {"train": {"text": ["no"]}, "validation": {"text": stories}})
    prepared = DOMAINS["language"].prepare(entry("language", "tiny-stories", source=source, splits=EVEN))
    assert all(part["tokens"].dtype == np.uint8 for part in prepared.arrays.values())
    assert prepared.arrays["validation"]["tokens"].shape[1] == 257
    assert b"small dogs" in prepared.arrays["train"]["tokens"].tobytes()


def test_a_play_in_three_splits_is_one_text_with_a_pinned_digest(tmp_path: Path, entry: Callable[..., Corpus]) -> None:
    speeches = [f"SPEAKER {number}:\n" + f"Words, words, {number} words.\n" * 20 for number in range(200)]
    play = "\n".join(speeches)
    parts = {"train": play[:70_000], "validation": play[70_000:80_000], "test": play[80_000:]}
    source = save(tmp_path / "set", {split: {"text": [text]} for split, text in parts.items()})
    corpus = entry("language", "tiny-shakespeare", source=source, splits=EVEN)
    with pytest.raises(AamsError, match=r"tiny-shakespeare is not what the whitelist pins: .*; got [0-9a-f]{64} from"):
        DOMAINS["language"].prepare(corpus)
    digest = contents_digest([passage.encode() for passage in cut_passages(play)])
    assert DOMAINS["language"].prepare(replace(corpus, digest=digest)).arrays["train"]["tokens"].size > 30_000


def test_a_revision_that_cannot_be_had_is_one_clear_error(entry: Callable[..., Corpus]) -> None:
    with pytest.raises(
        AamsError, match=r"corpus mnist can't be loaded from ylecun/mnist at 77f3\w+; got .+; check source"
    ):
        DOMAINS["vision"].prepare(entry("vision", "mnist"))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"image": "picture"}, "no column picture; got image, label"),
        ({"split": "train+dev"}, "can't be loaded from"),
        ({"files": "data/none-*.parquet"}, "can't be loaded from"),
    ],
)
def test_rows_that_do_not_fit_the_entry_are_an_error(
    tmp_path: Path, entry: Callable[..., Corpus], options: dict[str, str], what: str
) -> None:
    columns, features = pictures(4, (28, 28))
    source = save(tmp_path / "set", {"train": columns, "test": columns}, features)
    corpus = entry("vision", "mnist", source=source)
    with pytest.raises(AamsError, match=what):
        DOMAINS["vision"].prepare(replace(corpus, options={**corpus.options, **options}))


def test_pictures_of_another_size_or_labels_beyond_the_classes_are_an_error(
    tmp_path: Path, entry: Callable[..., Corpus]
) -> None:
    columns, features = pictures(12, (20, 28))
    source = save(tmp_path / "wide", {"train": columns, "test": columns}, features)
    with pytest.raises(AamsError, match=r"pictures must be \(28, 28\) uint8; got \(20, 28\) uint8"):
        DOMAINS["vision"].prepare(entry("vision", "mnist", source=source))
    columns, features = pictures(12, (28, 28))
    source = save(tmp_path / "many", {"train": columns, "test": columns}, features)
    face = replace(active_interface("vision"), height=28, width=28, classes=9)
    with pytest.raises(AamsError, match=r"labels must be in 0 \.\. 8; got 0 \.\. 9"):
        DOMAINS["vision"].prepare(entry("vision", "mnist", source=source, interface=face))


def test_a_column_of_numbers_is_no_text(tmp_path: Path, entry: Callable[..., Corpus]) -> None:
    source = save(tmp_path / "set", {"validation": {"text": [1, 2]}})
    with pytest.raises(AamsError, match="column text must hold text; got int"):
        DOMAINS["language"].prepare(entry("language", "tiny-stories", source=source))
