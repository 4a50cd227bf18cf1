from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import domains
from aams import bundle
from aams.canonical import canonical_json, sha256, to_data
from aams.errors import AamsError, ResultError
from aams.records import Budget, Envelope, Inputs, Manifest, Run, Spec
from compiler import spec as specs
from domains import active_interface

FILES = {
    "data/train.safetensors": bytes(range(256)),
    "models/one.py": b"class Model: ...\n" * 40,
    "specs/one.json": b"{}\n",
    "trainer/__main__.py": b"print('trained')\n",
}
SMALL_DATA = {
    "train": {"tokens": np.arange(64, dtype=np.uint8)},
    "validation": {"tokens": np.zeros((2, 5), dtype=np.uint8)},
    "replay": {"tokens": np.ones((2, 5), dtype=np.uint8)},
    "probe": {"tokens": np.ones((2, 5), dtype=np.uint8)},
}


def frozen(files: Mapping[str, bytes]) -> Manifest:
    inputs = Inputs(
        schema_version=1,
        cycle="language-abc",
        stage="trial",
        batch=0,
        domain="language",
        generation="",
        sealed="",
        parent="G000",
        parent_weights="",
        corpus="small",
        digests={"contract": "c" * 64},
        files=bundle.digests(files),
        runs=(Run("child-0", "child", 0, "a" * 64, 7, 3),),
        rungs=(),
        compute_flops=1000,
        budget=Budget(1, 1, 1, 1, 1),
        confinement=("bubblewrap", "landlock"),
    )
    return Manifest(inputs, Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""))


def archived(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip that a stranger made, of whatever members in whatever order."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return path


def as_members(files: Mapping[str, bytes], manifest: Manifest | None = None) -> list[tuple[str, bytes]]:
    return [(bundle.MANIFEST, canonical_json(to_data(manifest or frozen(files)))), *files.items()]


def everything_below(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}


def baseline() -> Spec:
    return specs.read(Path(domains.__file__).parent / "language" / "baseline.yaml")


def test_what_was_packed_is_laid_out_again_byte_for_byte(tmp_path: Path) -> None:
    archive = bundle.pack(frozen(FILES), FILES, tmp_path)
    assert bundle.unpack(archive, tmp_path / "out") == frozen(FILES)
    assert everything_below(tmp_path / "out") == {*FILES, bundle.MANIFEST}
    assert all((tmp_path / "out" / name).read_bytes() == content for name, content in FILES.items())
    assert (tmp_path / "out" / bundle.MANIFEST).read_bytes() == canonical_json(to_data(frozen(FILES)))


def test_an_archive_is_named_by_its_digest_and_depends_on_nothing_but_content(tmp_path: Path) -> None:
    one = bundle.pack(frozen(FILES), FILES, tmp_path / "one")
    backwards = dict(reversed(FILES.items()))
    other = bundle.pack(frozen(backwards), backwards, tmp_path / "other")
    assert one.name == f"{sha256(one.read_bytes())}.zip" == other.name
    assert one.read_bytes() == other.read_bytes()
    changed = {**FILES, "specs/one.json": b"{ }"}
    assert bundle.pack(frozen(changed), changed, tmp_path / "one") != one


def test_packing_twice_leaves_one_archive(tmp_path: Path) -> None:
    first = bundle.pack(frozen(FILES), FILES, tmp_path)
    assert bundle.pack(frozen(FILES), FILES, tmp_path) == first
    assert list(tmp_path.iterdir()) == [first]


MAKE_CONTENTS = """\
import sys
from pathlib import Path
import numpy as np
from aams import bundle
from compiler import spec
from domains import active_interface
data = {"validation": {"tokens": np.zeros((2, 5), dtype=np.uint8)}, "train": {"tokens": np.arange(64, dtype=np.uint8)}}
files = bundle.contents([spec.read(Path(sys.argv[1]))], active_interface("language"), data)
for name, digest in bundle.digests(files).items():
    print(name, digest)
"""


def test_another_process_with_another_hash_seed_makes_the_same_bytes() -> None:
    root = Path(bundle.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "4242"}
    file = str(root / "domains" / "language" / "baseline.yaml")
    answer = subprocess.run(
        [sys.executable, "-c", MAKE_CONTENTS, file], env=environment, capture_output=True, text=True, check=True
    )
    own = bundle.digests(bundle.contents([baseline()], active_interface("language"), SMALL_DATA))
    assert answer.stdout.splitlines() == [f"{name} {digest}" for name, digest in own.items()]


def test_a_bundle_carries_specs_models_data_and_the_trainer_and_no_question_of_the_exam() -> None:
    one = baseline()
    files = bundle.contents([one, one], active_interface("language"), SMALL_DATA)
    trainer = {f"trainer/{path.name}": path.read_bytes() for path in bundle.TRAINER.glob("*.py")}
    assert trainer.items() <= files.items()
    assert files.keys() - trainer.keys() == {
        f"specs/{one.id}.json",
        f"models/{one.id}.py",
        "data/train.safetensors",
        "data/validation.safetensors",
    }
    tree = json.loads(files[f"specs/{one.id}.json"])
    assert tree["training"]["clip"] is not None, "every default is written out"


def refused(archive: Path, place: Path, complaint: str) -> None:
    """Unpacking says what is wrong, and leaves nothing behind: neither in the folder nor beside it."""
    before = everything_below(place)
    with pytest.raises(AamsError, match=complaint) as refusal:
        bundle.unpack(archive, place / "deep" / "out")
    assert archive.name in str(refusal.value)
    assert everything_below(place) == before


def without(name: str) -> dict[str, bytes]:
    return {path: content for path, content in FILES.items() if path != name}


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([*as_members(FILES), ("extra.py", b"")], "members differ from the manifest; got extra.py"),
        (as_members(without("specs/one.json"), frozen(FILES)), "members differ .* got specs/one.json"),
        (
            as_members({**without("models/one.py"), "models/won.py": FILES["models/one.py"]}, frozen(FILES)),
            "members differ from the manifest; got models/one.py, models/won.py",
        ),
        ([*as_members(FILES), ("data/", b"")], "members differ from the manifest; got data/"),
        (as_members({**FILES, "specs/one.json": b"{}"}, frozen(FILES)), "specs/one.json: differs from its digest"),
        (list(FILES.items()), "has no manifest"),
        ([], "has no manifest"),
        ([(bundle.MANIFEST, b"{"), *FILES.items()], r"manifest.json:.*not JSON"),
        ([(bundle.MANIFEST, b"{}"), *FILES.items()], "manifest.json: key 'inputs' is missing"),
        ([(bundle.MANIFEST, b'{"a": 1, "a": 1}'), *FILES.items()], "key given twice: 'a'"),
    ],
    ids=["added", "removed", "renamed", "folder", "changed", "bare", "empty", "broken", "foreign", "doubled"],
)
def test_an_archive_that_differs_from_its_manifest_is_refused_by_name(
    tmp_path: Path, members: list[tuple[str, bytes]], complaint: str
) -> None:
    refused(archived(tmp_path / "stranger.zip", members), tmp_path, complaint)


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = archived(tmp_path / "twice.zip", [*as_members(FILES), ("specs/one.json", b"{}\n")])
    refused(archive, tmp_path, "names a member twice")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "trainer/../../evil.py",
        "{root}/evil.py",
        "./evil.py",
        "trainer//evil.py",
        "trainer\\evil.py",
        "trainer/évil.py",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_though_the_manifest_declares_it(tmp_path: Path, name: str) -> None:
    name = name.format(root=tmp_path)
    files = {**FILES, name: b"print('gotcha')\n"}
    archive = archived(tmp_path / "traversal.zip", as_members(files))
    refused(archive, tmp_path, "evil|évil|a name or digest is not of the allowed form")


@pytest.mark.parametrize("name", ["evil.py", "torch/evil.py", "trainer.evil.py", "specs.evil.py/x"])
def test_a_file_that_would_lie_beside_the_trainer_is_refused(tmp_path: Path, name: str) -> None:
    archive = archived(tmp_path / "beside.zip", as_members({**FILES, name: b"print('imported first')\n"}))
    refused(archive, tmp_path, "evil.py")


@pytest.mark.parametrize("run", ["../run", "Run", "results", "a b"])
def test_a_run_whose_name_would_be_a_bad_file_name_is_refused(tmp_path: Path, run: str) -> None:
    manifest = frozen(FILES)
    runs = (replace(manifest.inputs.runs[0], name=run),)
    hostile = replace(manifest, inputs=replace(manifest.inputs, runs=runs))
    refused(archived(tmp_path / "run.zip", as_members(FILES, hostile)), tmp_path, re.escape(run))


def test_a_link_in_an_archive_becomes_a_plain_file(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("data/link")
    link.external_attr = (0o120777) << 16
    files = {**FILES, "data/link": b"/etc/passwd"}
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        for name, content in as_members(files):
            archive.writestr(link if name == "data/link" else zipfile.ZipInfo(name), content)
    bundle.unpack(tmp_path / "link.zip", tmp_path / "out")
    assert not (tmp_path / "out" / "data" / "link").is_symlink()
    assert (tmp_path / "out" / "data" / "link").read_bytes() == b"/etc/passwd"


@pytest.mark.parametrize("place", ["models/one.py", "data/train.safetensors", bundle.MANIFEST])
def test_a_changed_byte_of_any_member_is_refused(tmp_path: Path, place: str) -> None:
    archive = bundle.pack(frozen(FILES), FILES, tmp_path / "in")
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(place)
    content[info.header_offset + 30 + len(place) + 7] ^= 1
    archive.write_bytes(content)
    refused(archive, tmp_path, "is not a readable bundle.*CRC")


def test_a_truncated_archive_is_refused_at_every_length(tmp_path: Path) -> None:
    archive = bundle.pack(frozen(FILES), FILES, tmp_path / "in")
    whole = archive.read_bytes()
    for length in (*range(0, len(whole), 131), len(whole) - 1):
        archive.write_bytes(whole[:length])
        refused(archive, tmp_path, "is not a readable bundle|has no manifest")


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"not a zip", b"PK\x05\x06" + b"\xff" * 18, b"\x1f\x8b" + b"\0" * 60):
        archive = tmp_path / "no.zip"
        archive.write_bytes(content)
        refused(archive, tmp_path, "is not a readable bundle|has no manifest")


def test_a_missing_archive_a_folder_and_a_link_are_refused(tmp_path: Path) -> None:
    archive = bundle.pack(frozen(FILES), FILES, tmp_path / "in")
    (tmp_path / "link.zip").symlink_to(archive)
    (tmp_path / "folder.zip").mkdir()
    refused(tmp_path / "link.zip", tmp_path, "is a symbolic link")
    refused(tmp_path / "folder.zip", tmp_path, "is a directory")
    refused(tmp_path / "none.zip", tmp_path, "can't be read; got No such file")


def with_size(archive: Path, name: str, size: int) -> Path:
    """Make the central directory claim another unpacked size for one member."""
    content = bytearray(archive.read_bytes())
    entry = content.rfind(b"PK\x01\x02", 0, content.rfind(name.encode()))
    struct.pack_into("<L", content, entry + 24, size)
    archive.write_bytes(content)
    return archive


def test_a_bomb_that_says_how_large_it_is_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    archive = archived(tmp_path / "bomb.zip", as_members(FILES), zipfile.ZIP_DEFLATED)
    refused(
        with_size(archive, "models/one.py", bundle.MAX_BYTES), tmp_path, "would unpack to more than 536870912 bytes"
    )


def test_a_bomb_that_lies_about_its_size_is_read_no_further(tmp_path: Path) -> None:
    files = {**FILES, "data/bomb": bytes(30_000_000)}
    archive = archived(tmp_path / "bomb.zip", as_members(files), zipfile.ZIP_DEFLATED)
    assert archive.stat().st_size < 100_000
    refused(with_size(archive, "data/bomb", 1000), tmp_path, "bomb.zip")


@pytest.mark.parametrize("after", [b"x", struct.pack("<H", 1)])
def test_an_archive_ends_with_its_directory_and_begins_with_its_first_member(tmp_path: Path, after: bytes) -> None:
    whole = archived(tmp_path / "whole.zip", as_members(FILES)).read_bytes()
    (tmp_path / "whole.zip").unlink()
    for name, content in (("after.zip", whole + after), ("before.zip", after + whole)):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, tmp_path, "does not end as a bundle does")


def test_a_manifest_beyond_all_measure_is_not_parsed(tmp_path: Path) -> None:
    members = [(bundle.MANIFEST, b" " * (bundle.MAX_MANIFEST_BYTES + 1)), *FILES.items()]
    refused(archived(tmp_path / "stranger.zip", members), tmp_path, "manifest.json: is larger than 4194304 bytes")


METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bz2": zipfile.ZIP_BZIP2}


@pytest.mark.parametrize("method", [*METHODS.values(), zipfile.ZIP_LZMA], ids=[*METHODS, "lzma"])
def test_no_damage_escapes_as_another_error(tmp_path: Path, method: int) -> None:
    rng = random.Random(7)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in as_members(FILES):
            opened.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    whole = buffer.getvalue()
    archive = tmp_path / "damaged.zip"
    for _ in range(120):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 2, 8))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        archive.write_bytes(damaged)
        with contextlib.suppress(AamsError):
            assert bundle.unpack(archive, tmp_path / "out") == frozen(FILES), "what is let in is what was packed"


def test_a_directory_that_lies_before_the_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(bundle.pack(frozen(FILES), FILES, tmp_path / "in").read_bytes())
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<L", content, end + 12, 0x00FFFFFF)
    (tmp_path / "before.zip").write_bytes(content)
    refused(tmp_path / "before.zip", tmp_path, "is not a readable bundle")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    content = bytearray(bundle.pack(frozen(FILES), FILES, tmp_path / "in").read_bytes())
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        content[place + 8] |= 1
        place += 4
    (tmp_path / "locked.zip").write_bytes(content)
    refused(tmp_path / "locked.zip", tmp_path, "locked.zip")


def test_the_error_is_one_about_results(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no")
    error: Any
    with pytest.raises(ResultError) as error:
        bundle.unpack(tmp_path / "x.zip", tmp_path / "out")
    assert error.value.exit_status == 1
