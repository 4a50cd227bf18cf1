"""What goes wrong in the middle: kills, interrupts, two at once, full disks. Nothing is lost and verify passes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

SLOW = ("--seed", "21", "--children", "8", "--json")


def wait_for(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def a_run_finished(lab):
    return lambda: any(lab.path.glob(".aams/work/*/*/out/*.safetensors"))


@pytest.fixture(scope="module")
def unbroken(lab_with_root, built):
    """The lab after the same cycle that nobody interrupted, and what that cycle said. Never changed."""

    def run(folder):
        folder.with_suffix(".json").write_text(lab_with_root.copy(folder).run("aams.run_cycle", *SLOW))

    twin = built("unbroken", run)
    return twin, json.loads(twin.path.with_suffix(".json").read_text())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_cycle_stopped_while_training_goes_on_with_the_same_command(lab, unbroken, number):
    process = lab.start("aams.run_cycle", *SLOW, start_new_session=True)
    wait_for(a_run_finished(lab), "the first finished run")
    if number == signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (130, -number)
    lab.verify()
    subprocess.run(["pkill", "-KILL", "-f", str(lab.path / ".aams")], check=False)
    resumed = json.loads(lab.run("aams.run_cycle", *SLOW))
    twin, told = unbroken
    for name in ("cycle", "children", "outcome", "reason"):
        assert resumed[name] == told[name]
    assert len(lab.entries("opened")) == len(twin.entries("opened")), "the interrupted cycle went on, no new one began"
    lab.verify()


def test_results_that_are_refused_are_put_aside_and_the_same_command_trains_again(lab, unbroken):
    process = lab.start("aams.run_cycle", *SLOW, start_new_session=True)
    wait_for(a_run_finished(lab), "the first finished run")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    subprocess.run(["pkill", "-KILL", "-f", str(lab.path / ".aams")], check=False)
    (out,) = {found.parent for found in lab.path.glob(".aams/work/*/*/out/*.safetensors")}
    (out / "results.json").write_text("{}")
    complaint = lab.run("aams.run_cycle", *SLOW, status=1)
    assert "results.json" in complaint and "the same command trains again" in complaint
    assert (out.parent / "refused" / "results.json").read_text() == "{}"
    _, told = unbroken
    assert json.loads(lab.run("aams.run_cycle", *SLOW))["reason"] == told["reason"]
    lab.verify()


def test_a_second_cycle_is_refused_while_one_runs_and_the_first_one_ends_well(lab):
    frozen = len(lab.entries("frozen"))
    process = lab.start("aams.run_cycle", *SLOW)
    wait_for(lambda: len(lab.entries("frozen")) > frozen, "the first cycle to freeze its manifest")
    complaint = lab.run("aams.run_cycle", "--seed", "22", status=1)
    assert "another cycle is running" in complaint
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and json.loads(out)["outcome"]
    lab.verify()


def test_a_cycle_that_waits_for_results_from_elsewhere_is_closed_only_when_asked(lab):
    first = json.loads(lab.aams("propose", "--seed", "31", "--children", "1", "--json"))
    assert json.loads(lab.aams("propose", "--seed", "31", "--children", "1", "--json")) == first
    complaint = lab.aams("propose", "--seed", "32", "--children", "1", status=1)
    assert "waits for its results" in complaint and f"aams abandon {first['cycle']}" in complaint
    assert json.loads(lab.aams("abandon", first["cycle"], "--json"))["outcome"] == "abandoned"
    second = json.loads(lab.aams("propose", "--seed", "32", "--children", "1", "--json"))
    assert second["cycle"] != first["cycle"]
    lab.verify()


def test_a_trainer_that_dies_is_one_clear_error_and_the_next_try_succeeds(lab):
    trainer = lab.path / "trainer" / "train.py"
    source = trainer.read_text()
    trainer.write_text("raise SystemExit('no trainer today')\n")
    complaint = lab.run("aams.run_cycle", "--seed", "41", "--children", "1", status=1)
    assert "the trainer ended without results" in complaint
    lab.verify()
    trainer.write_text(source)
    assert lab.cycle(42, "--children", "1")["outcome"]
    lab.verify()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
def test_a_full_disk_is_one_clear_error_and_loses_nothing(lab, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in lab.path.rglob("*") if path.is_file() and not path.is_symlink())
    script = (
        f"mount -t tmpfs -o size={size + 3_000_000} tmpfs {disk} && cp -a {lab.path} {disk}/lab && cd {disk}/lab && "
        f"{sys.executable} -m aams.run_cycle --seed 51 --children 2; status=$?; "
        f"rm -rf .aams/work .aams/cache; {sys.executable} -m aams verify && exit $status"
    )
    if not shutil.which("unshare"):
        pytest.skip("unshare is missing")
    environment = {**os.environ, "PYTHONPATH": str(disk / "lab")}
    answer = subprocess.run(["unshare", "--mount", "sh", "-c", script], env=environment, capture_output=True, text=True)
    if "mount:" in answer.stderr:
        pytest.skip("this machine does not let tests mount a disk")
    assert answer.returncode == 1, answer.stderr
    assert "No space left" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "All right" in answer.stdout


def test_a_folder_that_is_no_lab_is_named_as_such(empty_lab, tmp_path):
    complaint = empty_lab.run("aams.run_cycle", "--seed", "1", "--root", str(tmp_path), status=1)
    assert "is no lab" in complaint and "--root" in complaint
