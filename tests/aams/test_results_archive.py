"""An archive of results that anybody may have written gives regular files of expected names, or one error."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aams.errors import ResultError
from aams.results_archive import pack_results, unpack_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "results.json").write_text("{}")
    (folder / "child-0.safetensors").write_bytes(b"weights")
    (folder / "notes.txt").write_text("not asked for")
    return folder


def test_results_and_weights_come_back_and_nothing_else(results: Path, tmp_path: Path) -> None:
    pack_results(results, tmp_path / "a.zip")
    unpack_results(tmp_path / "a.zip", tmp_path / "back")
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == {
        "results.json": b"{}",
        "child-0.safetensors": b"weights",
    }


def test_equal_results_give_equal_archives(results: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        pack_results(results, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no results"):
        pack_results(tmp_path, tmp_path / "a.zip")


def written(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return write


def linked(path: Path) -> None:
    info = zipfile.ZipInfo("child-0.safetensors")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")


HOSTILE = {
    "empty": lambda path: path.write_bytes(b""),
    "no zip": lambda path: path.write_bytes(b"PK\3\4 but no more"),
    "slip": written(("../results.json", b"{}")),
    "absolute": written(("/results.json", b"{}")),
    "folder": written(("child-0.safetensors/", b"")),
    "code": written(("results.json", b"{}"), ("sitecustomize.py", b"1")),
    "other weights": written(("child-99999.safetensors", b"")),
    "compressed": written(("results.json", b"0" * 100_000), method=zipfile.ZIP_DEFLATED),
    "trailing": lambda path: (written(("results.json", b"{}"))(path), path.write_bytes(path.read_bytes() + b"x")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_such_archive_is_one_error_and_leaves_nothing_outside(name: str, tmp_path: Path) -> None:
    place = tmp_path / "inner"
    place.mkdir()
    HOSTILE[name](place / "a.zip")
    with pytest.raises(ResultError, match="is not a readable archive of results"):
        unpack_results(place / "a.zip", place / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    written(("results.json", b"{}"), ("results.json", b"[]"))(tmp_path / "a.zip")
    with pytest.raises(ResultError, match="twice"):
        unpack_results(tmp_path / "a.zip", tmp_path / "back")


def test_a_link_comes_out_as_a_plain_file(tmp_path: Path) -> None:
    linked(tmp_path / "a.zip")
    unpack_results(tmp_path / "a.zip", tmp_path / "back")
    found = tmp_path / "back" / "child-0.safetensors"
    assert found.is_file() and not found.is_symlink() and found.read_text() == "/etc/passwd"
