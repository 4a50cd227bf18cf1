"""What the runner lane owes beside: how it reads GitHub's words, and what it takes from where others write too."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from aams.canonical import sha256
from aams.errors import AamsError, LaneError
from aams.github.access import open_repository
from aams.github.workflows import train_title
from aams.lanes import LANES, Handle, Lane, Status
from aams.lanes.runner import Runner
from aams.lanes.runner_session import SessionRelease
from safety.contract import CONTRACT_PATH, load_contract
from tests.aams.lanes import runner_hub
from tests.aams.lanes.bundles import packed, scripted
from tests.e2e.hub import NAME

ROOT = Path(__file__).parents[3]
CONTRACT = load_contract(ROOT / CONTRACT_PATH)
NO_SESSION = Handle("runner", "aams-trial-0-00000000-language-000000000000")


@pytest.fixture
def hub(github_emulator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[runner_hub.RunnerHub]:
    """A site where no machine takes a job: tests say how runs stand."""
    pytest.importorskip("github")
    monkeypatch.setattr(Runner, "LOOK_S", 0.01)
    monkeypatch.setattr(Runner, "PATIENCE_S", 0.1)
    with runner_hub.RunnerHub(github_emulator, tmp_path / "hub", runners=0) as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def where(hub: runner_hub.RunnerHub, tmp_path: Path) -> Lane:
    return LANES["runner"](tmp_path, CONTRACT)


def ends(hub: runner_hub.RunnerHub, status: str, conclusion: str | None = None) -> None:
    """Let the newest run stand as GitHub might say it."""
    runs = hub.site.site.repositories[NAME].runs
    newest = hub.site.runs(NAME)[-1]
    runs[newest.id] = replace(newest, status=status, conclusion=conclusion)


def release_of(hub: runner_hub.RunnerHub, handle: Handle) -> Any:
    return hub.place.repo("ann").get_release(f"session-{handle.name}")


def put(hub: runner_hub.RunnerHub, handle: Handle, name: str, content: bytes) -> None:
    """What anybody could who may write: another file in a session's release."""
    for asset in release_of(hub, handle).get_assets():
        if asset.name == name:
            asset.delete_asset()
    release_of(hub, handle).upload_asset_from_memory(
        io.BytesIO(content), len(content), name, content_type="application/zip"
    )


def archive_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed_up:
        for name, content in members.items():
            packed_up.writestr(name.replace("_json", ".json"), content)
    return buffer.getvalue()


MEANING = {
    ("requested", None): Status.QUEUED,
    ("waiting", None): Status.QUEUED,
    ("pending", None): Status.QUEUED,
    ("queued", None): Status.QUEUED,
    ("in_progress", None): Status.RUNNING,
    ("dreaming", None): Status.FAILED,
    ("completed", "cancelled"): Status.CANCELLED,
    ("completed", "failure"): Status.FAILED,
    ("completed", "timed_out"): Status.FAILED,
    ("completed", "startup_failure"): Status.FAILED,
    ("completed", "skipped"): Status.FAILED,
    ("completed", "a word of tomorrow"): Status.FAILED,
    ("completed", None): Status.FAILED,
    ("completed", "success"): Status.FAILED,  # as no results are there
}


def test_a_word_of_githubs_means_one_status_and_an_unknown_one_is_a_failure(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path
) -> None:
    handle = where.submit(scripted(tmp_path, "pass"))
    for (status, conclusion), meant in MEANING.items():
        ends(hub, status, conclusion)
        standing = where.poll(handle)
        assert standing.status is meant, (status, conclusion)
        assert ("/actions/runs/" in standing.said) == (meant is Status.FAILED), "a person finds the run's page"


def test_a_bundle_waits_under_its_digest_for_a_run_of_main_whose_title_names_the_session(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path
) -> None:
    archive = scripted(tmp_path, "pass")
    handle, digest = where.submit(archive), sha256(archive.read_bytes())
    (run,) = hub.site.runs(NAME)
    assert (run.workflow, run.ref) == (".github/workflows/train.yml", "refs/heads/main")
    assert run.title == train_title(handle.name, digest)
    assert run.payload["inputs"] == {"cycle": "", "session": handle.name, "bundle": digest, "lane": "cuda"}
    release = release_of(hub, handle)
    assert release.prerelease and [one.name for one in release.get_assets()] == [f"{digest}.bundle.zip"]
    assert where.sessions() == (handle,)
    where.cancel(handle)
    where.discard(handle)
    assert where.sessions() == () and not list(hub.place.repo("ann").get_releases())
    assert all(not ref.ref.endswith(handle.name) for ref in hub.place.repo("ann").get_git_matching_refs("tags/"))


def test_a_title_is_what_the_workflow_says_it_is() -> None:
    workflow = YAML(typ="safe", pure=True).load(ROOT / ".github" / "workflows" / "train.yml")
    blank = {"${{ inputs.cycle }}": "", "${{ inputs.session }}": "the-session", "${{ inputs.bundle }}": "trial-0"}
    title = workflow["run-name"]
    for word, value in blank.items():
        title = title.replace(word, value)
    assert title == train_title("the-session", "trial-0")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_the_page_registers_a_runner_for_one_job_with_the_labels_that_the_workflow_asks_for() -> None:
    page = (ROOT / "docs" / "setup-runner.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for block in blocks:
        assert subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True).stderr == ""
    workflow = YAML(typ="safe", pure=True).load(ROOT / ".github" / "workflows" / "train.yml")
    (just_in_time,) = [block for block in blocks if "generate-jitconfig" in block]
    (configured,) = [block for block in blocks if "config.sh" in block]
    assert (
        re.findall(r"labels\[\]=(\S+)'", just_in_time) == workflow["jobs"]["cuda"]["runs-on"] == ["self-hosted", "cuda"]
    )
    assert "--ephemeral" in configured and "--labels cuda" in configured, "config.sh adds self-hosted by itself"


def test_done_is_a_run_that_went_well_and_whose_results_are_there(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path
) -> None:
    archive = scripted(tmp_path, "pass")
    handle = where.submit(archive)
    put(hub, handle, "results.zip", archive_of(results_json=b"{}"))
    ends(hub, "completed", "failure")
    assert where.poll(handle).status is Status.FAILED, "somebody's file is no success"
    assert where.submit(archive) == handle
    ends(hub, "completed", "success")
    assert where.poll(handle).status is Status.DONE
    assert (where.fetch(handle, tmp_path / "returned") / "results.json").read_bytes() == b"{}"
    where.discard(handle)
    assert where.poll(handle).status is Status.MISSING
    with pytest.raises(LaneError, match="there are no results"):
        where.fetch(handle, tmp_path / "again")


@pytest.mark.parametrize("content", [b"no archive", archive_of(results_json=b"{}", other=b"x"), b"PK" * 4096])
def test_results_that_are_no_archive_of_results_leave_nothing_here(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, content: bytes
) -> None:
    handle = where.submit(scripted(tmp_path, "pass"))
    put(hub, handle, "results.zip", content)
    ends(hub, "completed", "success")
    with pytest.raises(AamsError, match="is not a readable archive of results"):
        where.fetch(handle, tmp_path / "returned")
    assert not (tmp_path / "returned").exists()


def test_results_beyond_all_measure_are_not_even_brought(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = where.submit(scripted(tmp_path, "pass"))
    put(hub, handle, "results.zip", bytes(2000))
    ends(hub, "completed", "success")
    monkeypatch.setattr("aams.lanes.runner_session.MAX_BYTES", 1000)
    with pytest.raises(AamsError, match="is larger than 1000 bytes"):
        where.fetch(handle, tmp_path / "returned")


def test_who_failed_too_often_is_not_tried_again(hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path) -> None:
    archive = scripted(tmp_path, "pass")
    for conclusion in ("failure", "cancelled", "timed_out", "failure"):
        where.submit(archive)
        ends(hub, "completed", conclusion)
    with pytest.raises(LaneError, match=r"failed to train it too often; got 3 times; .*/actions/runs/"):
        where.submit(archive)
    assert len(hub.site.runs(NAME)) == 4


def test_a_lost_answer_starts_no_second_run(hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path) -> None:
    archive = scripted(tmp_path, "pass")
    hub.site.fail_next("POST", "/dispatches$", 502, carried_out=True)
    with pytest.raises(LaneError, match="github: can't POST"):
        where.submit(archive)
    assert where.submit(archive) == where.handle_of(archive)
    assert len(hub.site.runs(NAME)) == 1


def test_a_run_that_does_not_come_or_does_not_end_is_told(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path
) -> None:
    archive = scripted(tmp_path, "pass")
    hub.site.fail_next("POST", "/dispatches$", 204)
    with pytest.raises(LaneError, match="github: GitHub has not started it yet; got aams-attempt-0-"):
        where.submit(archive)
    handle = where.submit(archive)
    hub.site.fail_next("POST", "/cancel$", 409)
    with pytest.raises(LaneError, match="github: GitHub has not ended it yet; got aams-attempt-0-"):
        where.cancel(handle)
    where.cancel(handle)
    assert where.poll(handle).status is Status.CANCELLED


def test_a_stranger_brings_nothing_to_the_machine(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AAMS_GITHUB_TOKEN", hub.place.tokens["eve"])
    with pytest.raises(LaneError, match="github: can't POST /releases; got 403"):
        where.submit(scripted(tmp_path, "pass"))
    with pytest.raises(AamsError, match="403"):
        open_repository().dispatch("train.yml", {"session": NO_SESSION.name, "bundle": "0" * 64, "lane": "cuda"})
    assert hub.site.runs(NAME) == ()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("AAMS_GITHUB_TOKEN", "AAMS_GITHUB_TOKEN is not set"), ("GITHUB_REPOSITORY", "set GITHUB_REPOSITORY to")],
)
def test_what_the_environment_lacks_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, complaint: str
) -> None:
    pytest.importorskip("github")
    monkeypatch.setenv("AAMS_GITHUB_TOKEN", "token")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ann/lab")
    monkeypatch.delenv(name)
    with pytest.raises(AamsError, match=complaint) as failure:
        LANES["runner"](tmp_path, CONTRACT).poll(NO_SESSION)
    assert "\n" not in str(failure.value)


class Job:
    """What the job on the machine types."""

    def __init__(self, answer: Callable[..., str], place: Path) -> None:
        self._answer, self.work = answer, place / "work"

    def bundle(self, session: str, digest: str, status: int = 0) -> str:
        root = ("--root", str(ROOT))
        return self._answer(
            "github", "bundle", *root, "--session", session, "--digest", digest, str(self.work), status=status
        )

    def deliver(self, session: str, archive: Path, status: int = 0) -> str:
        return self._answer("github", "deliver", "--session", session, str(archive), status=status)


@pytest.fixture
def job(answer: Callable[..., str], tmp_path: Path) -> Job:
    return Job(answer, tmp_path / "machine")


def test_the_job_takes_the_bundle_of_a_digest_and_brings_results_once(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, job: Job
) -> None:
    archive = scripted(tmp_path, "pass")
    handle, digest = where.submit(archive), sha256(archive.read_bytes())
    job.bundle(handle.name, digest)
    (taken,) = job.work.iterdir()
    assert taken.read_bytes() == archive.read_bytes()
    for content in (archive_of(results_json=b"1"), archive_of(results_json=b"2")):
        (tmp_path / "results.zip").write_bytes(content)
        job.deliver(handle.name, tmp_path / "results.zip")
    ends(hub, "completed", "success")
    assert (where.fetch(handle, tmp_path / "returned") / "results.json").read_bytes() == b"1"


def test_the_job_takes_nothing_that_is_not_what_its_name_says(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, job: Job
) -> None:
    archive, other = scripted(tmp_path, "pass"), scripted(tmp_path, "print('other')")
    handle, digest = where.submit(archive), sha256(archive.read_bytes())
    asked = sha256(other.read_bytes())
    assert "there is no such bundle" in job.bundle(handle.name, asked, status=1)
    assert "there is no such bundle" in job.bundle(handle.name, "", status=1)
    assert "there is no such bundle" in job.bundle(NO_SESSION.name, digest, status=1)
    assert "names no session" in job.bundle(f"{handle.name}/../x", digest, status=1)
    put(hub, handle, f"{asked}.bundle.zip", other.read_bytes())
    assert "is not the bundle of its name" in job.bundle(handle.name, asked, status=1), "it is another session's"
    put(hub, handle, f"{digest}.bundle.zip", other.read_bytes())
    assert "is not the bundle of its name" in job.bundle(handle.name, digest, status=1)
    put(hub, handle, f"{sha256(b'x')}.bundle.zip", b"x")
    assert "is not a readable bundle" in job.bundle(handle.name, sha256(b"x"), status=1)
    assert not list(job.work.glob("*"))


def test_the_job_takes_no_bundle_that_would_rather_not_be_confined(where: Lane, tmp_path: Path, job: Job) -> None:
    archive, _ = packed(tmp_path, confinement=("none",))
    handle = where.submit(archive)
    said = job.bundle(handle.name, sha256(archive.read_bytes()), status=1)
    assert "accepts another confinement than main's contract; got none" in said
    assert not list(job.work.glob("*"))


def test_results_of_a_session_that_was_let_go_are_not_kept(
    hub: runner_hub.RunnerHub, where: Lane, tmp_path: Path, job: Job
) -> None:
    handle = where.submit(scripted(tmp_path, "pass"))
    where.cancel(handle)
    where.discard(handle)
    (tmp_path / "results.zip").write_bytes(archive_of(results_json=b"{}"))
    assert "there is no such release" in job.deliver(handle.name, tmp_path / "results.zip", status=1)
    repository = hub.place.repo("ann")
    assert not list(repository.get_releases())
    assert not SessionRelease(open_repository(), handle.name).is_there()
