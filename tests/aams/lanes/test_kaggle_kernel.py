"""What is pushed to Kaggle: constants and digests, which really train a bundle at the emulator."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import digest, sha256, to_data
from aams.errors import AamsError
from aams.lanes import LANES, train
from aams.lanes.kaggle_calls import ask
from aams.lanes.kaggle_kernel import RESULTS, Kind, Parameters, write_dataset, write_kernel
from aams.records import Manifest
from aams.results_archive import pack_results, unpack_results
from safety.contract import CONTRACT_PATH, load_contract

GOOD = Parameters("aams-data", "a" * 64, "b" * 64)


def code(folder: Path, parameters: Parameters, kind: Kind = "script") -> str:
    write_kernel(folder, "ann", "aams-kernel", parameters, kind, "")
    return (folder / json.loads((folder / "kernel-metadata.json").read_text())["code_file"]).read_text()


def test_a_bundle_goes_up_trains_and_its_results_come_back_as_the_local_lane_gives_them(
    running_account: Any, small_bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    archive, manifest = small_bundle
    assert running_account.put(archive) == {"ref": "ann/aams-data", "version": 1}
    assert running_account.push(running_account.write(manifest, archive)) == {"ref": "ann/aams-kernel", "version": 1}
    running_account.site.wait_for_sessions()
    assert ask("status", slug="aams-kernel") == {"slug": "aams-kernel", "status": "complete", "said": ""}
    running_account.site.fail_next("^/files/", "cut")
    found = ask("output", slug="aams-kernel", names=[RESULTS, "other"], folder=str(tmp_path), max_bytes=10**6)
    assert found["files"] == {RESULTS: (tmp_path / RESULTS).stat().st_size}
    assert (found["missing"], found["others"]) == (["other"], 0)

    unpack_results(tmp_path / RESULTS, tmp_path / "back")
    results = json.loads((tmp_path / "back" / "results.json").read_bytes())
    assert (results["manifest"], results["nonce"]) == (digest(to_data(manifest.inputs)), manifest.envelope.nonce)
    assert [(run["status"], run["steps"]) for run in results["runs"]] == [("finished", 3)] * 2
    pack_results(tmp_path / "back", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / RESULTS).read_bytes()

    (tmp_path / "here").mkdir()
    here = LANES["local"](tmp_path / "here", load_contract(Path(__file__).parents[3] / CONTRACT_PATH))
    returned = train(here, archive, tmp_path / "returned", lambda event: None)
    for run in results["runs"]:
        weights = (returned / f"{run['name']}.safetensors").read_bytes()
        assert (
            sha256(weights) == run["weights"] == sha256((tmp_path / "back" / f"{run['name']}.safetensors").read_bytes())
        )

    events = [
        json.loads(line)["event"] for line in ask("logs", slug="aams-kernel", max_bytes=10**6)["text"].splitlines()
    ]
    assert (events[0], events.count("done")) == ("start", 2)
    assert ask("delete_kernel", slug="aams-kernel") == {"deleted": True}
    assert ask("delete_dataset", slug="aams-data") == {"deleted": True}
    assert ask("delete_dataset", slug="aams-data") == {"deleted": False}
    assert (running_account.kernel(), running_account.site.dataset("ann/aams-data")) == (None, None)


def test_a_notebook_trains_the_same_wherever_its_data_set_is_mounted(
    running_account: Any, small_bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    archive, manifest = small_bundle
    running_account.site.site.mounts = "by owner"
    running_account.place(archive)
    running_account.push(running_account.write(manifest, archive, kind="notebook", machine="NvidiaTeslaT4"))
    running_account.site.wait_for_sessions()
    session = running_account.kernel().last
    assert (session.status, session.gpu) == ("COMPLETE", True), session.log
    assert sorted(path.name for path in session.working.iterdir()) == ["__notebook__.ipynb", RESULTS]
    unpack_results(session.working / RESULTS, tmp_path / "back")


def changed(archive: Path, place: Path, how: str) -> Path:
    """A bundle that is none."""
    if how == "byte":
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        place.write_bytes(content)
        return place
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(place, "w") as target:
        for info in source.infolist():
            if how != "trainer" or info.filename != "trainer/train.py":
                target.writestr(info, source.read(info))
        if how == "climbs":
            target.writestr("../escaped", "x")
    return place


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("byte", "is not the bundle that was sent"),
        ("climbs", "a member that is none of its own: '../escaped'"),
        ("trainer", "the trainer ended with exit status 1"),
    ],
)
def test_a_bundle_that_is_none_gives_no_results(
    running_account: Any, small_bundle: tuple[Path, Manifest], tmp_path: Path, how: str, complaint: str
) -> None:
    archive, manifest = small_bundle
    bad = changed(archive, tmp_path / "bad.zip", how)
    running_account.place(bad)
    running_account.push(running_account.write(manifest, archive if how == "byte" else bad))
    running_account.site.wait_for_sessions()
    session = running_account.kernel().last
    assert (session.status, list(session.working.iterdir())) == ("ERROR", [])
    assert complaint in "".join(entry["data"] for entry in session.log)


def test_kernels_differ_in_their_parameters_alone(tmp_path: Path) -> None:
    other = Parameters("other-data", "c" * 64, "d" * 64, "landlock", 3)
    one, two = code(tmp_path / "one", GOOD).splitlines(), code(tmp_path / "two", other).splitlines()
    assert one[1:] == two[1:]
    assert ast.literal_eval(two[0].removeprefix("PARAMETERS = ")) == {
        "archive": "bundle.bin",
        "data": "other-data",
        "isolation": "landlock",
        "manifest": "d" * 64,
        "sha256": "c" * 64,
        "workers": 3,
    }


def test_a_notebook_is_one_by_its_format_and_says_what_the_script_says(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = json.loads(code(tmp_path / "notebook", GOOD, "notebook"))
    nbformat.validate(notebook)
    cells = [each["source"] for each in notebook["cells"] if each["cell_type"] == "code"]
    assert "\n".join(cells) == code(tmp_path / "script", GOOD)
    assert notebook["cells"][1]["metadata"]["tags"] == ["parameters"]


def test_a_kernel_is_private_offline_and_has_nothing_but_its_data_set(tmp_path: Path) -> None:
    write_kernel(tmp_path, "ann", "aams-kernel", GOOD, "script", "NvidiaTeslaP100")
    metadata = json.loads((tmp_path / "kernel-metadata.json").read_text())
    assert (metadata["id"], metadata["title"]) == ("ann/aams-kernel", "aams kernel")
    assert (metadata["is_private"], metadata["enable_internet"], metadata["enable_gpu"]) == (True, False, True)
    assert (metadata["dataset_sources"], metadata["machine_shape"]) == (["ann/aams-data"], "NvidiaTeslaP100")
    assert [metadata[f"{kind}_sources"] for kind in ("competition", "kernel", "model")] == [[], [], []]


@pytest.mark.parametrize(
    "change",
    [
        {"data": 'x"\nimport os'},
        {"data": "short"},
        {"data": "two--hyphens"},
        {"sha256": "A" * 64},
        {"manifest": "b" * 63 + "\n"},
        {"isolation": "'; import os; '"},
        {"workers": 0},
        {"workers": True},
        {"workers": "2"},
    ],
)
def test_nothing_but_digests_slugs_and_words_becomes_a_parameter(tmp_path: Path, change: dict[str, Any]) -> None:
    given: dict[str, Any] = {"data": "aams-data", "sha256": "a" * 64, "manifest": "b" * 64, **change}
    with pytest.raises(AamsError):
        write_kernel(tmp_path, "ann", "aams-kernel", Parameters(**given), "script", "")
    assert not list(tmp_path.iterdir())


def test_no_other_owner_slug_kind_or_machine_is_written(tmp_path: Path) -> None:
    strange: Any = "../x"
    for owner, slug, kind, machine in (
        (strange, "aams-kernel", "script", ""),
        ("ann", strange, "script", ""),
        ("ann", "aams-kernel", strange, ""),
        ("ann", "aams-kernel", "script", strange),
    ):
        with pytest.raises(AamsError):
            write_kernel(tmp_path / "kernel", owner, slug, GOOD, kind, machine)
    with pytest.raises(AamsError):
        write_dataset(tmp_path / "data", "ann", strange, tmp_path)
    assert not list(tmp_path.iterdir())
