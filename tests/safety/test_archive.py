from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from aams.errors import AamsError
from safety.archive import ARTIFACTS, HASHES, archive_generation, check_generation, generation_path
from safety.store import STORE, get, put

ARTIFACT_BYTES = {name: name.encode() for name in {*ARTIFACTS, "tokenizer.json"}}
NAME = "G001-20261121-014000"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "returned.safetensors"
    path.write_bytes(b"weights")
    put(tmp_path, path, sha(b"weights"))
    path.unlink()
    return sha(b"weights")


def test_the_store_gives_back_what_was_put(tmp_path: Path, weights: str) -> None:
    path = get(tmp_path, weights)
    assert path is not None
    assert path.read_bytes() == b"weights"
    assert path.stat().st_mode & 0o222 == 0
    assert get(tmp_path, sha(b"other")) is None


def test_the_store_refuses_content_of_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "returned.safetensors"
    path.write_bytes(b"swapped")
    with pytest.raises(AamsError, match="should have the SHA-256"):
        put(tmp_path, path, sha(b"weights"))
    assert list((tmp_path / STORE).iterdir()) == []


def test_the_store_notices_rot_and_is_mended_by_putting_again(tmp_path: Path, weights: str) -> None:
    path = tmp_path / STORE / weights
    path.chmod(0o644)
    path.write_bytes(b"rotten!")
    with pytest.raises(AamsError, match="does not hold what its name says"):
        get(tmp_path, weights)
    (tmp_path / "again").write_bytes(b"weights")
    put(tmp_path, tmp_path / "again", weights)
    assert get(tmp_path, weights) == path


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_the_store_takes_digests_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(AamsError, match="is not a SHA-256 digest"):
        get(tmp_path, name)


def test_a_generation_is_archived_whole_and_read_only(tmp_path: Path, weights: str) -> None:
    digest = archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, weights)
    path = generation_path(tmp_path, "language", NAME)
    assert {item.name for item in path.iterdir()} == {*ARTIFACT_BYTES, HASHES, "model.safetensors"}
    assert all(item.stat().st_mode & 0o222 == 0 for item in path.iterdir())
    assert [item.name for item in path.parent.iterdir()] == [NAME]
    checked = check_generation(path, digest)
    assert (checked.weights, checked.has_weights) == (weights, True)
    lines = (path / HASHES).read_text().splitlines()
    assert lines[0] == "file,sha256"
    assert f"model.safetensors,{weights}" in lines


def test_a_generation_without_its_weights_is_still_right(tmp_path: Path, weights: str) -> None:
    digest = archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, weights)
    path = generation_path(tmp_path, "language", NAME)
    (path / "model.safetensors").unlink()
    checked = check_generation(path, digest)
    assert (checked.weights, checked.has_weights) == (weights, False)


def test_a_generation_that_returned_no_weights_says_so(tmp_path: Path) -> None:
    digest = archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, "")
    assert check_generation(generation_path(tmp_path, "language", NAME), digest).weights == ""


def test_a_generation_is_never_written_twice(tmp_path: Path) -> None:
    archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, "")
    with pytest.raises(AamsError, match="is archived already"):
        archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, "")


@pytest.mark.parametrize(
    "artifacts",
    [
        {name: content for name, content in ARTIFACT_BYTES.items() if name != "EVAL.md"},
        {name: content for name, content in ARTIFACT_BYTES.items() if name != "tokenizer.json"},
        ARTIFACT_BYTES | {"../escape": b""},
        ARTIFACT_BYTES | {"model.safetensors": b""},
        ARTIFACT_BYTES | {"hashes.csv": b""},
    ],
)
def test_only_exactly_the_artifacts_are_archived(tmp_path: Path, artifacts: dict[str, bytes]) -> None:
    with pytest.raises(AamsError, match="exactly its artifacts"):
        archive_generation(tmp_path, "language", NAME, artifacts, "")
    assert list(tmp_path.iterdir()) == []


def _edit(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: _edit(path / "EVAL.md", b"better"), "EVAL.md: changed: hashes.csv names"),
        (lambda path: _edit(path / "model.safetensors", b"other"), "model.safetensors: changed"),
        (lambda path: (path / "metrics.json").unlink(), "metrics.json: is in hashes.csv and missing"),
        (lambda path: (path / "notes.txt").touch(), "notes.txt: is not in hashes.csv"),
        (lambda path: (path / HASHES).unlink(), "hashes.csv: can't be read"),
        (lambda path: _edit(path / HASHES, (path / HASHES).read_bytes() + b"x"), "hashes.csv: changed: the ledger"),
        (lambda path: (path / "sub").symlink_to("/etc"), "neither a file nor a directory"),
        (lambda path: path.rename(path.with_name("elsewhere")), "is in the ledger and missing"),
    ],
)
def test_damage_to_a_generation_is_named(tmp_path: Path, weights: str, damage: Any, complaint: str) -> None:
    digest = archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, weights)
    path = generation_path(tmp_path, "language", NAME)
    damage(path)
    with pytest.raises(AamsError, match=complaint):
        check_generation(path, digest)


@pytest.mark.parametrize(
    "hashes",
    [
        b"",
        b"file,sha256\n",
        b"file,sha256\nEVAL.md," + b"a" * 64 + b"\nEVAL.md," + b"a" * 64 + b"\n",
        b"file,sha256\nEVAL.md," + b"A" * 64 + b"\n",
        b"file,sha256\n../../etc/passwd," + b"a" * 64 + b"\n",
        b"file,sha1\nEVAL.md," + b"a" * 40 + b"\n",
        b"\xff\xfe",
    ],
)
def test_a_list_of_hashes_that_is_none_is_refused(tmp_path: Path, hashes: bytes) -> None:
    archive_generation(tmp_path, "language", NAME, ARTIFACT_BYTES, "")
    path = generation_path(tmp_path, "language", NAME)
    _edit(path / HASHES, hashes)
    with pytest.raises(AamsError):
        check_generation(path, sha(hashes))
