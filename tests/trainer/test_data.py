from __future__ import annotations

import torch

from trainer import data

CPU = torch.device("cpu")


def test_language_batches_are_windows_of_the_text_with_targets_one_further() -> None:
    text = torch.arange(200, dtype=torch.uint8)
    (tokens,), targets = next(data.batches("language", {"tokens": text}, 5, 16, seed=1))
    assert tokens.shape == targets.shape == (5, 16)
    assert tokens.dtype == targets.dtype == torch.int64
    assert torch.equal(tokens + 1, targets)
    assert torch.equal(tokens - tokens[:, :1], torch.arange(16).expand(5, 16))


def test_language_batches_reach_the_last_token() -> None:
    text = torch.zeros(18, dtype=torch.uint8)
    text[-1] = 9
    batches = data.batches("language", {"tokens": text}, 64, 16, seed=1)
    assert 9 in next(batches)[1]


def test_images_come_in_shuffled_epochs_that_lose_nothing() -> None:
    labels = torch.arange(10, dtype=torch.uint8)
    images = labels.view(10, 1, 1, 1)
    batches = data.batches("vision", {"images": images, "labels": labels}, 4, 0, seed=3)
    seen = torch.cat([next(batches)[1] for _ in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_a_batch_may_be_larger_than_the_data() -> None:
    labels = torch.arange(3, dtype=torch.uint8)
    batches = data.batches("vision", {"images": labels.view(3, 1, 1, 1), "labels": labels}, 8, 0, seed=3)
    assert next(batches)[1].bincount().tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    text = torch.randint(256, (1000,), dtype=torch.uint8)
    first, again, other = (next(data.batches("language", {"tokens": text}, 8, 16, seed))[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_are_normalised_in_one_fixed_way() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    rows = {"images": images, "labels": torch.tensor([0, 1], dtype=torch.uint8)}
    (normal,), _ = data.split("vision", rows)
    assert normal.flatten().tolist() == [-2.0, 2.0]
    assert images.dtype == torch.uint8


def test_a_batch_of_tokens_is_counted_in_sequences_of_the_context() -> None:
    assert data.items_per_step("language", {"batch_tokens": 4096}, 128) == 32
    assert data.items_per_step("language", {"batch_tokens": 64}, 128) == 1
    assert data.items_per_step("hybrid", {"batch": 48}, 0) == 48
