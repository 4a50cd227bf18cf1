from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aams import confine
from aams.confine import Limits

LIMITS = Limits(file_bytes=8192, cpu_s=20)
PYTHON = [sys.executable, "-S", "-c"]


def run(code: str, place: Path, limits: Limits = LIMITS) -> subprocess.CompletedProcess[str]:
    argv, environment, _ = confine.command([*PYTHON, code], writable=place, limits=limits, python_path=[place])
    process = confine.start(argv, environment)
    out, complaint = process.communicate(timeout=30)
    return subprocess.CompletedProcess(argv, process.returncode, out.decode(), complaint.decode())


@pytest.fixture
def every_isolation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what was probed before and after a test that changes what there is."""
    confine._probed.cache_clear()
    yield
    confine._probed.cache_clear()


def test_no_secret_of_the_environment_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "KAGGLE_KEY", "AAMS_SECRET", "SSH_AUTH_SOCK", "HTTPS_PROXY", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "s3cret")
    seen = json.loads(run("import json, os; print(json.dumps(dict(os.environ)))", tmp_path).stdout)
    assert "s3cret" not in seen.values()
    assert set(seen) <= {
        *("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE"),
        *("PYTHONSAFEPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", *confine.PASSED_ON),
        *("PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"),  # of the shell and of Python themselves
    }
    assert (seen["PYTHONHASHSEED"], seen["OMP_NUM_THREADS"], seen["TMPDIR"]) == ("0", "1", str(tmp_path))


def test_there_is_no_network_where_it_says_so(tmp_path: Path) -> None:
    if confine.isolation() == "none":
        pytest.skip("nothing here isolates from the network, and it says so")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        subprocess.run([*PYTHON, code], check=True)
        assert run(code, tmp_path).returncode != 0


def test_nothing_but_its_directory_can_be_written_under_bubblewrap(tmp_path: Path) -> None:
    if confine.isolation() != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    place = tmp_path / "own"
    place.mkdir()
    assert run(f"open({str(place / 'a')!r}, 'w').write('x')", place).returncode == 0
    assert "Read-only" in run(f"open({str(tmp_path / 'b')!r}, 'w')", place).stderr


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    odd = ["two words", "$(touch oops)", "'\"`;|&\n*", "", "--", "ü"]
    argv, environment, _ = confine.command(
        [*PYTHON, "import json, sys; print(json.dumps(sys.argv[1:]))", *odd], writable=tmp_path, limits=LIMITS
    )
    out, _ = confine.start(argv, environment).communicate()
    assert json.loads(out) == odd
    assert not list(tmp_path.iterdir())


def test_limits_are_in_force(tmp_path: Path) -> None:
    names = "RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_CORE"
    code = f"from resource import *; print([getrlimit(which)[1] for which in ({names})])"
    assert json.loads(run(code, tmp_path).stdout) == [8192, 20, 256, 0]
    large = run("from pathlib import Path; Path('large').write_bytes(bytes(9000))", tmp_path)
    assert "File too large" in large.stderr


def test_a_loop_ends_when_its_seconds_are_used_up(tmp_path: Path) -> None:
    started = time.monotonic()
    assert run("while True: pass", tmp_path, Limits(file_bytes=8192, cpu_s=1)).returncode != 0
    assert time.monotonic() - started < 25


def test_stopping_ends_the_whole_group_even_who_does_not_listen(tmp_path: Path) -> None:
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.fork(); print('ready', flush=True); time.sleep(60)"
    )
    argv, environment, _ = confine.command([*PYTHON, code], writable=tmp_path, limits=LIMITS)
    process = confine.start(argv, environment)
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        assert process.stdout.readline() == process.stdout.readline() == b"ready\n"
        confine.stop(process, grace_s=0.2)
        assert process.returncode != 0
        assert process.stdout.read() == b""  # ends only when the last process of the group is gone


def test_stopping_what_has_ended_does_nothing(tmp_path: Path) -> None:
    argv, environment, _ = confine.command([*PYTHON, ""], writable=tmp_path, limits=LIMITS)
    process = confine.start(argv, environment)
    process.communicate()
    confine.stop(process)
    assert process.returncode == 0


def test_without_any_means_it_says_none_and_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_isolation: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert confine.isolation() == "none"
    assert run("print(1)", tmp_path).stdout == "1\n"


def test_a_means_that_does_not_work_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_isolation: None
) -> None:
    for name in ("bwrap", "unshare"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.defpath)
    assert confine.isolation() == "none"


def test_unshare_serves_where_bubblewrap_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_isolation: None
) -> None:
    found = confine.shutil.which
    monkeypatch.setattr(confine.shutil, "which", lambda name: None if name == "bwrap" else found(name))
    if confine.isolation() == "none":
        pytest.skip("unshare does not work here")
    assert confine.isolation() == "unshare"
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert run(code, tmp_path).returncode != 0
