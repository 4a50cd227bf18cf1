"""What a site that was killed leaves to the next one on its folder: all but the sessions that ran on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kaggle_emulator.conftest import Stage

TESTS = Path(__file__).parents[1]
ENDLESS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def start(tmp_path):
    """Starts the site as a process of its own; gives it and what it says of ann's environment."""
    started = []

    def begin():
        command = [sys.executable, "-m", "kaggle_emulator", str(tmp_path / "site"), "ann"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, **piped))
        return started[-1], json.loads(started[-1].stdout.readline())

    yield begin
    for process in started:
        process.communicate(timeout=60)


@pytest.fixture
def ann(client, kaggle_emulator, tmp_path, monkeypatch):
    """Makes ann's stage at a site that is another process, whose address and her key an environment says."""
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())

    def make(environment):
        key = environment["KAGGLE_KEY"]
        told = {"environment": lambda name: environment, "user": lambda name: key, "dataset": lambda ref: None}
        return Stage(SimpleNamespace(**told), client, tmp_path, monkeypatch)

    return make


def wait_for(stage, status, slug="first-kernel"):
    while stage.api.kernels_status(f"ann/{slug}").status.name != status:
        pass


def test_a_site_that_was_killed_goes_on_at_the_same_address_with_all_that_it_was_told(start, ann):
    first, environment = start()
    stage = ann(environment)
    stage.put(table_bin=b"123")
    stage.push(dataset_sources=["ann/some-data"])
    wait_for(stage, "COMPLETE")
    first.kill()
    first.wait()
    _, again = start()
    assert again == environment
    assert stage.api.kernels_status("ann/first-kernel").status.name == "COMPLETE"
    stage.api.kernels_output("ann/first-kernel", str(stage.folder / "back"))
    assert (stage.folder / "back" / "out.txt").read_text() == "made here"
    assert [one.name for one in stage.api.dataset_list_files("ann/some-data").files] == ["table.bin"]
    assert stage.push(dataset_sources=["ann/some-data"]).version_number == 2


def test_a_session_ends_with_the_site_that_ran_it_and_may_be_pushed_again(start, ann):
    first, environment = start()
    stage = ann(environment)
    stage.push(text=ENDLESS)
    wait_for(stage, "RUNNING")
    first.kill()
    first.wait()
    start()
    answer = stage.api.kernels_status("ann/first-kernel")
    assert (answer.status.name, answer.failure_message) == ("ERROR", "The machine of the session is gone")
    assert stage.push().version_number == 2
    wait_for(stage, "COMPLETE")
