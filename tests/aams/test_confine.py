from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aams import confine
from aams.confine import Limits
from aams.errors import LaneError
from safety.contract import SCHEMA_FILE

LIMITS = Limits(file_bytes=8192, cpu_s=20)
PYTHON = [sys.executable, "-S", "-c"]


def run(
    code: str, place: Path, limits: Limits = LIMITS, accepted: Sequence[str] = confine.ISOLATIONS
) -> subprocess.CompletedProcess[str]:
    argv, environment, _ = confine.command(
        [*PYTHON, code], writable=place, limits=limits, python_path=[place], accepted=accepted
    )
    process = confine.start(argv, environment)
    out, complaint = process.communicate(timeout=30)
    return subprocess.CompletedProcess(argv, process.returncode, out.decode(), complaint.decode())


def needed(kind: str) -> None:
    """Skip where this machine can't give an isolation."""
    try:
        confine.isolation([kind])
    except LaneError:
        pytest.skip(f"{kind} does not work here")


def landlock_abi() -> int:
    """Which version of Landlock this kernel has."""
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


@pytest.fixture
def every_isolation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what was probed before and after a test that changes what there is."""
    confine._way.cache_clear()
    yield
    confine._way.cache_clear()


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


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock+unshare", "landlock"])
def test_nothing_but_its_directory_can_be_written_where_it_says_so(kind: str, tmp_path: Path) -> None:
    needed(kind)
    place = tmp_path / "own"
    place.mkdir()
    (tmp_path / "other").write_text("other")
    inside = (
        f"import os; os.chdir({str(place)!r}); open('a', 'w').write('long'); open('a', 'w').write('x'); os.mkdir('b')\n"
        "os.rename('a', 'b/a'); os.truncate('b/a', 0); os.symlink('a', 'b/c'); os.remove('b/c'); open('/dev/null', 'w')"
    )
    done = run(inside, place, accepted=[kind])
    assert done.returncode == 0, done.stderr
    for code in (
        "open('../new', 'w')",
        "open('../other', 'a')",
        "os.truncate('../other', 0)",
        "os.remove('../other')",
        "os.rename('../other', 'other')",
        "os.rename('b', '../b')",
        "os.link('../other', 'link')",
        "os.mkdir('../new')",
        "os.mkfifo('../new')",
        "os.symlink('other', '../new')",
    ):
        tried = run(f"import os; os.chdir({str(place)!r}); {code}", place, accepted=[kind])
        assert tried.returncode == 1, code
        assert any(word in tried.stderr for word in ("Permission denied", "Read-only", "cross-device")), tried.stderr
    assert (tmp_path / "other").read_text() == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "own"]


@pytest.mark.parametrize("kind", ["landlock+unshare", "landlock"])
def test_landlock_holds_for_the_children_of_children_and_lets_nobody_outside_be_harmed(
    kind: str, tmp_path: Path
) -> None:
    needed(kind)
    place = tmp_path / "own"
    place.mkdir()
    code = f"""
import os, subprocess, sys
found = subprocess.run(["/bin/sh", "-c", "/bin/sh -c 'echo x > {tmp_path}/b'"])
print(found.returncode != 0)
try:
    os.kill({os.getpid()}, 0)
except PermissionError:
    print("kept away")
subprocess.run([sys.executable, "-c", "import os; os.kill(os.getppid(), 0)"], check=True)
"""
    done = run(code, place, accepted=[kind])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "True"
    if landlock_abi() >= 6:
        assert done.stdout.splitlines()[1:] == ["kept away"]
    assert not (tmp_path / "b").exists()


def test_landlock_alone_refuses_tcp(tmp_path: Path) -> None:
    needed("landlock")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert "Permission denied" in run(code, tmp_path, accepted=["landlock"]).stderr
        code = "import socket; socket.create_server(('127.0.0.1', 0))"
        assert "Permission denied" in run(code, tmp_path, accepted=["landlock"]).stderr


def test_landlocks_launcher_starts_nothing_that_it_could_not_confine(tmp_path: Path) -> None:
    launcher = [sys.executable, "-I", "-S", str(confine.LANDLOCK)]
    for place in (tmp_path / "missing", tmp_path / "missing" / "too"):
        done = subprocess.run([*launcher, str(place), "--", "/bin/echo", "started"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("landlock: ") and "Traceback" not in done.stderr
    assert subprocess.run([*launcher, str(tmp_path)], capture_output=True).returncode == 2


def test_the_strongest_that_is_accepted_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_way", lambda kind: () if kind in ("landlock", "unshare", "none") else None)
    assert confine.isolation() == "landlock"
    assert confine.isolation(["none", "unshare"]) == "unshare"
    with pytest.raises(LaneError, match="can't confine as the contract wants; got bubblewrap; install bubblewrap"):
        confine.command([*PYTHON, ""], writable=tmp_path, limits=LIMITS, accepted=["bubblewrap"])


def test_the_contract_knows_every_isolation_and_no_other() -> None:
    schema = json.loads(SCHEMA_FILE.read_bytes())
    assert tuple(schema["properties"]["confinement"]["items"]["enum"]) == confine.ISOLATIONS


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


@pytest.fixture
def no_landlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel without it, as far as the launcher is concerned."""
    (tmp_path / "launcher.py").write_text("raise SystemExit('landlock: Operation not supported')")
    monkeypatch.setattr(confine, "LANDLOCK", tmp_path / "launcher.py")


def test_without_any_means_it_says_none_and_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_landlock: None, every_isolation: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert confine.isolation() == "none"
    assert run("print(1)", tmp_path).stdout == "1\n"


@pytest.mark.parametrize("does", ["exit 1", "exit 0", 'while test "$1" != --; do shift; done; shift; exec "$@"'])
def test_a_means_that_does_not_work_is_not_relied_on(
    does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_landlock: None, every_isolation: None
) -> None:
    for name, script in (("bwrap", does), ("unshare", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.defpath)
    assert confine.isolation() == "none"


def test_a_full_disk_does_not_make_it_take_a_weaker_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_isolation: None
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(confine.tempfile, "TemporaryDirectory", full)
    with pytest.raises(LaneError, match="can't confine as the contract wants"):
        confine.isolation()


def test_a_launcher_that_confines_nothing_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_isolation: None
) -> None:
    (tmp_path / "launcher.py").write_text("import os, sys; os.execv(sys.argv[3], sys.argv[3:])")
    monkeypatch.setattr(confine, "LANDLOCK", tmp_path / "launcher.py")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert confine.isolation() == "none"


def test_unshare_serves_where_the_others_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_landlock: None, every_isolation: None
) -> None:
    found = confine.shutil.which
    monkeypatch.setattr(confine.shutil, "which", lambda name: None if name == "bwrap" else found(name))
    if confine.isolation() == "none":
        pytest.skip("unshare does not work here")
    assert confine.isolation() == "unshare"
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert run(code, tmp_path).returncode != 0
