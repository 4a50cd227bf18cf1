"""The door to Kaggle: the real client in a process of its own, at an emulated Kaggle that fails in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aams.errors import ResultError
from aams.lanes import kaggle_calls, kaggle_client
from aams.lanes.kaggle_account import KINDS
from aams.lanes.kaggle_calls import KaggleError, ask
from aams.records import Manifest
from aams.results_archive import unpack_results

Bundle = tuple[Path, Manifest]


@pytest.fixture
def kernel(account: Any, small_bundle: Bundle) -> Path:
    """A kernel's folder, whose data set is there already."""
    archive, manifest = small_bundle
    account.place(archive)
    folder: Path = account.write(manifest, archive)
    return folder


def failure_of(act: Callable[[], object]) -> tuple[str, str]:
    """Kind and words of what is not done."""
    with pytest.raises(KaggleError) as caught:
        act()
    assert caught.value.kind in KINDS
    return caught.value.kind, str(caught.value)


def failure(do: str, **fields: Any) -> tuple[str, str]:
    return failure_of(lambda: ask(do, **fields))


def test_the_quota_is_told_in_seconds_with_whose_it_is(account: Any) -> None:
    account.site.site.used_gpu_s = 7200.5
    found = ask("quota")
    assert found["user"] == "ann"
    assert found["gpu"].pop("refresh")
    assert found["gpu"] == {"used_s": 7200.5, "reserved_s": 0.0, "allowed_s": 108000.0}


def test_an_access_token_is_a_credential_too(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", account.site.token("ann"))
    assert ask("quota")["user"] == "ann"


def test_a_wrong_key_is_told_without_being_said(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "secret-7351")
    kind, said = failure("quota")
    assert (kind, "secret-7351" in said, "give KAGGLE_USERNAME" in said) == ("unauthorised", False, True)


def test_without_a_credential_nothing_is_asked(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    assert failure("quota")[0] == "unauthorised"
    assert account.site.requests == []


def test_a_data_set_gets_one_version_although_an_answer_was_lost(account: Any, small_bundle: Bundle) -> None:
    account.site.fail_next("CreateDataset$", 502, carried_out=True)
    account.site.fail_next("GetDatasetStatus", 429, retry_after_s=0)
    assert account.put(small_bundle[0]) == {"ref": "ann/aams-data", "version": 1}
    assert len(account.site.dataset("ann/aams-data").versions) == 1
    account.site.fail_next("CreateDatasetVersion", "hung up", carried_out=True)
    assert account.put(small_bundle[0]) == {"ref": "ann/aams-data", "version": 2}
    dataset = account.site.dataset("ann/aams-data")
    assert (dataset.private, len(dataset.versions)) == (True, 2)
    assert [path.name for path in dataset.versions[1].folder.iterdir()] == ["bundle.bin"]


def test_a_data_set_without_its_file_is_no_data_set(account: Any, small_bundle: Bundle) -> None:
    account.site.fail_next("^/upload/", 400)
    kind, said = failure_of(lambda: account.put(small_bundle[0]))
    assert (kind, "not all files of the data set were taken: ['bundle.bin']" in said) == ("refused", True)


def test_a_push_is_put_off_and_carried_out_once(account: Any, kernel: Path) -> None:
    account.site.next_session("queued")
    account.site.fail_next("SaveKernel", 429, retry_after_s=2)
    account.site.fail_next("SaveKernel", 409)
    began = time.monotonic()
    assert account.push(kernel, limit_s=90) == {"ref": "ann/aams-kernel", "version": 1}
    assert time.monotonic() - began > 2
    assert account.calls("SaveKernel") == 3
    (session,) = account.kernel().sessions
    assert (session.request["sessionTimeoutSeconds"], session.request["isPrivate"]) == (90, True)
    assert not session.request.get("enableInternet")


@pytest.mark.parametrize("status", [502, "hung up"])
def test_a_push_whose_answer_was_lost_is_not_pushed_again(account: Any, kernel: Path, status: Any) -> None:
    account.site.next_session("queued")
    account.site.fail_next("SaveKernel", status, carried_out=True)
    assert account.push(kernel) == {"ref": "ann/aams-kernel", "version": 1}
    assert len(account.kernel().sessions) == 1


def test_a_push_that_was_lost_before_it_arrived_is_pushed_again(account: Any, kernel: Path) -> None:
    account.site.next_session("queued")
    account.site.fail_next("SaveKernel", 503)
    assert account.push(kernel)["version"] == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_kernel_that_runs_without_its_data_is_a_failure(account: Any, kernel: Path, lost: bool) -> None:
    account.site.next_session("queued")
    account.site.drop_dataset("ann/aams-data")
    if lost:
        account.site.fail_next("SaveKernel", 500, carried_out=True)
    kind, said = failure_of(lambda: account.push(kernel))
    assert (kind, "it runs without ann/aams-data" in said) == ("dropped", True)


def test_versions_are_counted_from_none(account: Any, kernel: Path) -> None:
    assert ask("versions", slug="aams-kernel") == {"count": 0}
    for count in (1, 2):
        account.push(kernel)
        account.site.wait_for_sessions()
        assert ask("versions", slug="aams-kernel") == {"count": count}


def test_one_session_too_many_is_busy_and_nothing_is_pushed(account: Any, small_bundle: Bundle) -> None:
    archive, manifest = small_bundle
    account.place(archive)
    account.site.phantom_sessions(2)
    kind, said = failure_of(lambda: account.push(account.write(manifest, archive, machine="NvidiaTeslaT4")))
    assert (kind, "Maximum batch GPU session count of 2 reached." in said) == ("busy", True)
    assert (account.kernel(), account.calls("SaveKernel")) == (None, 1)


@pytest.mark.parametrize("change", [{"enable_internet": True}, {"is_private": "true"}, {"id": "eve/aams-kernel"}])
def test_no_public_online_or_foreign_kernel_is_pushed(account: Any, kernel: Path, change: dict[str, Any]) -> None:
    place = kernel / "kernel-metadata.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    assert failure_of(lambda: account.push(kernel))[0] == "invalid"
    assert account.calls("SaveKernel") == 0


def test_sessions_are_told_by_prefix_and_every_status_has_a_word_of_ours(account: Any) -> None:
    from kaggle_emulator.records import Kernel, Session

    words = {**kaggle_client.STATUSES, "PREEMPTED": "unknown", "ACKNOWLEDGED": "unknown", "": "unknown"}
    for number, name in enumerate(words):
        for prefix in ("aams", "mine"):
            slug = f"{prefix}-{number}"
            session = Session(number, 1, {}, Path(), False, "queued", name, "no\nreason" if name == "ERROR" else "")
            account.site.site.kernels[f"ann/{slug}"] = Kernel(number, f"ann/{slug}", slug, [session])
    found = {each["slug"]: each for each in ask("sessions", prefix="aams-")["sessions"]}
    assert {slug: each["status"] for slug, each in found.items()} == {
        f"aams-{number}": word for number, word in enumerate(words.values())
    }
    assert found["aams-3"]["said"] == "no reason"
    assert ask("status", slug="aams-99") == {"slug": "aams-99", "status": "missing", "said": ""}


def test_outputs_come_by_exact_name_within_a_limit(running_account: Any, kernel: Path, tmp_path: Path) -> None:
    (kernel / "kernel.py").write_text(
        "import os\nos.mkdir('sub')\n"
        "for name, size in (('results.zip', 10), ('sub/results.zip', 1), ('large', 1000)):\n"
        "    open(name, 'wb').write(b'x' * size)\n"
        "print('x' * 100)\nprint('last')\n"
    )
    running_account.push(kernel)
    running_account.site.wait_for_sessions()
    place = tmp_path / "back"
    place.mkdir()
    fields: dict[str, Any] = {"slug": "aams-kernel", "folder": str(place), "max_bytes": 500}
    found = ask("output", names=["results.zip", "weights"], **fields)
    assert found == {"files": {"results.zip": 10}, "missing": ["weights"], "others": 2}
    assert failure("output", names=["results.zip", "large"], **fields)[0] == "large"
    assert failure("output", names=["sub/results.zip"], **fields)[0] == "invalid"
    assert [path.name for path in place.iterdir()] == ["results.zip"]
    assert ask("logs", slug="aams-kernel", max_bytes=10) == {"text": "xxxx\nlast\n", "whole": True}


def test_an_output_that_was_cut_at_kaggle_is_no_archive_of_results(
    running_account: Any, kernel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("results.json", "{}")
    content = (tmp_path / "whole.zip").read_bytes()
    (kernel / "kernel.py").write_text(f"open('results.zip', 'wb').write({content!r})")
    running_account.site.next_session("partial")
    running_account.push(kernel)
    running_account.site.wait_for_sessions()
    found = ask("output", slug="aams-kernel", names=["results.zip"], folder=str(tmp_path), max_bytes=500)
    assert found["files"] == {"results.zip": len(content) // 2}
    with pytest.raises(ResultError):
        unpack_results(tmp_path / "results.zip", tmp_path / "back")


def test_a_log_is_followed_up_to_the_deadline(running_account: Any, kernel: Path) -> None:
    (kernel / "kernel.py").write_text("import time\nprint('begun')\ntime.sleep(60)\n")
    running_account.push(kernel)
    while not running_account.kernel().last.log:
        time.sleep(0.02)
    assert ask("logs", deadline_s=6, slug="aams-kernel", max_bytes=100) == {"text": "begun\n", "whole": False}


def test_a_session_that_goes_on_is_cancelled_and_not_deleted_by_mistake(account: Any, kernel: Path) -> None:
    account.site.next_session("stuck")
    account.push(kernel)
    kind, said = failure("delete_kernel", slug="aams-kernel")
    assert (kind, "its session is running: cancel it" in said) == ("refused", True)
    account.site.fail_next("DeleteKernel", 502, carried_out=True)
    assert ask("cancel", slug="aams-kernel")["deleted"] in (True, False)
    assert (account.kernel(), account.site.site.counted(False)) == (None, 0)


def test_no_wait_goes_beyond_the_deadline(account: Any) -> None:
    account.site.fail_next("GetAccelerator", 503)
    account.site.fail_next("GetAccelerator", 503, retry_after_s=40)
    assert failure("quota", deadline_s=30)[0] == "unreachable"
    assert account.calls("GetAcceleratorQuotaStatistics") == 2


def test_a_site_that_never_answers_is_late(account: Any) -> None:
    account.site.fail_next("GetAccelerator", "silent")
    kind, said = failure("quota", deadline_s=3)
    assert (kind, "the deadline came first" in said) == ("late", True)


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "erase"},
        {"do": "status"},
        {"do": "status", "slug": "../x"},
        {"do": "status", "slug": "aams", "more": 1},
        {"do": "status", "slug": 7},
        {"do": "quota", "deadline_s": 0},
        {"do": "quota", "deadline_s": True},
    ],
)
def test_a_request_that_is_none_reaches_nobody(account: Any, fields: dict[str, Any]) -> None:
    assert failure(**fields)[0] == "invalid"
    assert account.site.requests == []


def test_what_is_no_json_is_no_request(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(kaggle_calls.HERE), "HOME": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "aams.lanes.kaggle_client"]
    for content in (b"", b"[]", b"{", b'{"do": []}'):
        done = subprocess.run(command, input=content, capture_output=True, env=environment, check=True)
        assert json.loads(done.stdout)["error"]["kind"] == "invalid"


def test_the_process_gets_the_credential_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setenv("KAGGLE_KEY", "key-7351")
    for name in ("GITHUB_TOKEN", "AAMS_GITHUB_TOKEN", "AAMS_ARBITER_SECRET", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "secret-7351")
    found = ask("quota")
    assert found["KAGGLE_KEY"] == "key-7351"
    assert "secret-7351" not in json.dumps(found)
    assert not Path(found["HOME"]).exists(), "its home goes with it"


@pytest.mark.parametrize("said", ["", "{}{}", '{"error": {"kind": "odd", "said": "x"}}', "NaN", "x" * 100])
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{said}'\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    assert failure("quota")[0] == "broken"
