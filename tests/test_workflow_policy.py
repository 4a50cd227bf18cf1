"""What no linter of workflows looks for: who holds which key, what runs beside it, and what a gate may not forgive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[1] / ".github" / "workflows"
FILES = sorted(path.name for path in FOLDER.glob("*.yml"))
PULL_REQUESTS = ("ci.yml", "spec_gate.yml", "review.yml")
LEDGER = (
    "evolve.yml",
    "receive_results.yml",
    "evaluate.yml",
    "promote.yml",
    "rechallenge.yml",
    "rollback.yml",
    "train.yml",
    "dispatch_kaggle.yml",
    "drift.yml",
)
ALLOWED_OWNERS = ("actions",)
MAX_LINES = 5


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(FOLDER / name)
    return found


def jobs(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from read(name)["jobs"].items()


def steps(name: str) -> Iterator[dict[str, Any]]:
    for _, job in jobs(name):
        yield from job["steps"]


def words(value: Any) -> str:
    return str(value)


@pytest.mark.parametrize("name", FILES)
def test_a_workflow_has_no_right_and_every_job_names_its_own_and_its_time(name: str) -> None:
    assert read(name)["permissions"] == {}
    for job in read(name)["jobs"].values():
        assert job["timeout-minutes"] <= 350
        assert set(job.get("permissions", {}).values()) <= {"read", "write"}


@pytest.mark.parametrize("name", FILES)
def test_actions_are_few_pinned_and_leave_no_credential(name: str) -> None:
    text = (FOLDER / name).read_text()
    for used in re.findall(r"uses: (\S+)(.*)", text):
        owner = used[0].split("/")[0]
        assert owner in ALLOWED_OWNERS and re.fullmatch(r"\S+@[0-9a-f]{40}", used[0]), used
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", used[1]), "the version stands beside its commit"
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", FILES)
def test_a_step_is_a_command_that_can_be_typed(name: str) -> None:
    for step in steps(name):
        run = step.get("run", "")
        assert len(run.strip().splitlines()) <= MAX_LINES
        assert "${{" not in run, "values come through the environment"
        assert not re.search(r"GITHUB_(ENV|OUTPUT|PATH)|curl|wget|--force|\beval\b|\bsudo\b", run)
        for installed in re.findall(r"pip install (.*)", run):
            assert "--require-hashes" in installed or "torch==" in installed, installed
        assert "continue-on-error" not in step


@pytest.mark.parametrize("name", FILES)
def test_a_gate_forgives_nothing(name: str) -> None:
    workflow = read(name)
    on = workflow["on"] if isinstance(workflow["on"], dict) else {workflow["on"]: None}
    assert "pull_request_target" not in on
    for event in ("pull_request", "push"):
        assert "paths-ignore" not in (on.get(event) or {}) and "branches-ignore" not in (on.get(event) or {})
    assert all("continue-on-error" not in job for _, job in jobs(name))


@pytest.mark.parametrize("name", LEDGER)
def test_what_writes_records_waits_its_turn_and_is_never_cancelled(name: str) -> None:
    concurrency = read(name)["concurrency"]
    assert concurrency["cancel-in-progress"] is False
    is_asked_for = "inputs" in ((read(name)["on"] or {}).get("workflow_dispatch") or {})
    assert concurrency.get("queue") == ("max" if is_asked_for else None), "what a person asked for is not displaced"


def test_a_flood_of_what_strangers_can_wake_keeps_one_run_waiting_and_nobody_elses() -> None:
    woken = ("evaluate.yml", "promote.yml", "receive_results.yml", "dispatch_kaggle.yml")
    groups = [read(name)["concurrency"]["group"] for name in woken]
    others = {read(name)["concurrency"]["group"] for name in FILES if name not in woken}
    assert len({*groups, *others}) == len(groups) + len(others)


@pytest.mark.parametrize("name", PULL_REQUESTS)
def test_what_a_stranger_can_start_has_no_secret_and_can_write_nothing(name: str) -> None:
    assert "secrets." not in (FOLDER / name).read_text()
    for _, job in jobs(name):
        assert "environment" not in job
        assert set(job.get("permissions", {}).values()) <= {"read"}


@pytest.mark.parametrize("name", FILES)
def test_secrets_live_in_environments_whose_jobs_run_mains_own_code_without_a_cache(name: str) -> None:
    for _, job in jobs(name):
        if "secrets." not in words(job):
            continue
        assert job["environment"] in ("kaggle", "propose", "verdict")
        for step in job["steps"]:
            uses = step.get("uses", "")
            assert not uses.startswith("actions/cache") and "cache" not in step.get("with", {})
            if uses.startswith("actions/checkout@"):
                assert step["with"]["ref"] == "main"


@pytest.mark.parametrize("name", FILES)
def test_no_job_holds_both_keys_or_a_key_of_the_other_environment(name: str) -> None:
    for _, job in jobs(name):
        held = set(re.findall(r"secrets\.([A-Z_]+)", words(job)))
        own = {
            "propose": {"AAMS_APP_KEY", "AAMS_PROPOSE_KEY"},
            "verdict": {"AAMS_APP_KEY", "AAMS_ARBITER_SECRET", "AAMS_VERDICT_KEY"},
            "kaggle": {"KAGGLE_KEY", "KAGGLE_USERNAME"},
        }
        assert held <= own.get(words(job.get("environment", "")), set())


def test_the_job_that_trains_holds_nothing_and_the_one_that_delivers_runs_nothing_of_it() -> None:
    for name in ("hosted", "cuda"):
        job = read("train.yml")["jobs"][name]
        assert job["permissions"] == {"contents": "read", "pull-requests": "read"} and "secrets." not in words(job)
        (training,) = [step for step in job["steps"] if "aams train" in step.get("run", "")]
        assert "env" not in training, "no token where generated code runs"
    deliver = read("train.yml")["jobs"]["deliver"]
    assert "aams train" not in words(deliver) and "torch" not in words(deliver)


def test_a_machine_of_ours_works_for_main_alone_and_is_left_as_it_was() -> None:
    own = [(name, job) for name in FILES for job in read(name)["jobs"].values() if "self-hosted" in job["runs-on"]]
    ((name, job),) = own
    assert name == "train.yml" and set(read(name)["on"]) == {"workflow_dispatch"}, "who starts it may write"
    assert job["if"] == "inputs.lane == 'cuda' && github.ref == 'refs/heads/main'"
    for variable in ("AGENT_TOOLSDIRECTORY", "HOME", "TMPDIR"):
        assert job["env"][variable].startswith("${{ github.workspace }}")
    assert job["steps"][-1] == {"if": "always()", "run": 'find "$GITHUB_WORKSPACE" -mindepth 1 -delete'}
