from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BREACHES = {
    "network": ("no-network", "import socket; socket.socket()"),
    "name lookup": ("no-network", "import socket; socket.getaddrinfo('localhost', 80)"),
    "request": ("no-network", "import urllib.request; urllib.request.urlopen('http://localhost')"),
    "process": ("no-system", "import subprocess; subprocess.run(['true'])"),
    "low process": ("no-system", "import _posixsubprocess; _posixsubprocess.fork_exec()"),
    "shell": ("no-system", "import os; os.system('true')"),
    "fork": ("no-system", "import os; os.fork()"),
    "kill": ("no-system", "import os; os.kill(os.getppid(), 9)"),
    "library": ("no-system", "import ctypes; ctypes.CDLL('libc.so.6')"),
    "extension": (
        "no-system",
        "from importlib import machinery as m; m.ExtensionFileLoader('x', CANARY).create_module("
        "m.ModuleSpec('x', None, origin=CANARY))",
    ),
    "memory": ("no-system", "import ctypes; ctypes.string_at(id(ctypes), 8)"),
    "environment": ("no-system", "import os; os.environ['OMP_NUM_THREADS'] = '9'"),
    "low environment": ("no-system", "import os; os.unsetenv('PATH')"),
    "pickle": ("no-system", "import pickle; pickle.loads(b'cos\\ngetpid\\n.')"),
    "own hook": ("no-system", "import sys; sys.addaudithook(print)"),
    "tracing": ("no-system", "import sys; sys.settrace(print)"),
    "searching": ("no-system", "import gc; gc.get_objects()"),
    "rewriting": ("no-system", "import trainer.laws as l; l._judge.__code__ = (lambda roots: lambda *a: '').__code__"),
    "interpreter": ("no-system", "import _xxsubinterpreters as x; x.create()"),
    "low interpreter copy": ("no-system", "import sys; del sys.modules['posix']; import posix"),
    "database library": ("no-system", "import _dbm"),
    "root": ("no-system", "import os; os.chroot('/')"),
    "low root": ("no-system", "import posix; posix.chroot('/')"),
    "session": ("no-system", "import os; os.setsid()"),
    "group": ("no-system", "import os; os.setpgid(0, 0)"),
    "low group": ("no-system", "import os; os.setpgrp()"),
    "priority": ("no-system", "import os; os.nice(1)"),
    "low priority": ("no-system", "import os; os.setpriority(os.PRIO_PROCESS, 0, 1)"),
    "processors": ("no-system", "import os; os.sched_setaffinity(0, [0])"),
    "scheduler": ("no-system", "import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"),
    "user": ("no-system", "import os; os.setuid(os.getuid())"),
    "groups": ("no-system", "import os; os.setgroups([])"),
    "file in memory": ("no-system", "import os; os.memfd_create('x')"),
    "handle of a process": ("no-system", "import os; os.pidfd_open(os.getppid())"),
    "signal by handle": ("no-system", "import signal; signal.pidfd_send_signal(0, 0)"),
    "terminal": ("no-system", "import os; os.openpty()"),
    "clock": ("no-system", "import time; time.clock_settime(time.CLOCK_REALTIME, 0)"),
    "process of torch": (
        "no-system",
        "import torch.multiprocessing as m; m.set_sharing_strategy('file_system'); torch.ones(2).share_memory_()",
    ),
    "pair of sockets": ("no-network", "import socket; socket.socketpair()"),
    "low pair of sockets": ("no-network", "import _socket; _socket.socketpair()"),
    "interfaces": ("no-network", "import socket; socket.if_nameindex()"),
    "store of torch": (
        "no-network",
        "import torch.distributed as d; d.TCPStore('localhost', 0, 1, True, wait_for_workers=False)",
    ),
    "limits": ("bounds", "import resource as r; r.setrlimit(r.RLIMIT_DATA, (-1, -1))"),
    "read": ("own-directory", "open('/etc/passwd').read()"),
    "low read": ("own-directory", "import os; os.open('/etc/passwd', os.O_RDONLY)"),
    "listing": ("own-directory", "import os; os.listdir('/etc')"),
    "climbing": (
        "own-directory",
        "import pathlib; pathlib.Path(__file__, '../../../../../../../../etc/passwd').read_text()",
    ),
    "users": ("own-directory", "import pwd; pwd.getpwall()"),
    "pipe": ("own-directory", "import os; os.mkfifo(CANARY)"),
    "low pipe": ("own-directory", "import posix; posix.mkfifo(CANARY)"),
    "pipe in a place": ("own-directory", "import os; os.mkfifo('canary', dir_fd=3)"),
    "node": ("own-directory", "import os; os.mknod(CANARY)"),
    "shared memory": (
        "own-directory",
        "import os; from multiprocessing import shared_memory as m; m.SharedMemory(f'aams{os.getpid()}', True, 64)",
    ),
    "semaphore": ("own-directory", "import multiprocessing as m; m.Lock()"),
    "torch": ("own-directory", "import torch; torch.save(torch.ones(2), CANARY)"),
    "torch's mapping": ("own-directory", "import torch; torch.from_file(CANARY, shared=True, size=4)"),
    "torch's storage": ("own-directory", "import torch; torch.UntypedStorage.from_file(CANARY, True, 4)"),
    "torch's script": (
        "own-directory",
        "import torch, warnings as w; w.simplefilter('ignore'); torch.jit.script(torch.nn.Identity()).save(CANARY)",
    ),
    "torch's file store": ("own-directory", "import torch.distributed as d; d.FileStore(CANARY, 1)"),
    "safetensors": ("own-directory", "import safetensors.torch as s; s.save_file({}, CANARY)"),
    "write": ("own-directory", "open(CANARY, 'w').write('x')"),
    "append": ("own-directory", "open(CANARY, 'a')"),
    "mkdir": ("own-directory", "import os; os.mkdir(CANARY)"),
    "database": ("own-directory", "import sqlite3; sqlite3.connect(CANARY)"),
    "rename": ("read-only-root", "import os; os.rename(__file__, CANARY)"),
    "own bundle": ("read-only-root", "open(__file__, 'a')"),
    "mode": ("read-only-root", "import os; os.chmod(__file__, 0o777)"),
    "library source": ("read-only-root", "import torch; open(torch.__file__, 'a')"),
}
TAMPERING = {
    "clearing its list": "import sys; f = sys._getframe()\nwhile f:\n    g = f.f_locals.get('guard')\n"
    "    g and g._listed.clear()\n    f = f.f_back",
    "replacing its functions": "import trainer.laws as l; l._judge = l._stopper = lambda *a: None; "
    "l.Guard.violations = ()",
    "emptying its tables": "import trainer.laws as l; l._LAW_OF_EVENT.clear(); l._LAW_OF_FAMILY.clear()",
    "replacing what it calls": "import os, posixpath, stat\n"
    "posixpath.realpath = os.fsdecode = lambda p, **k: __file__\n"
    "posixpath._joinrealpath = lambda *a: (__file__, True)\nos.lstat = stat.S_ISLNK = os.readlink = None",
}
CAUGHT = "\n        try:\n            exec({code!r}, globals())\n        except Exception:\n            pass"


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside") / "canary"


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory,
    canary: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Every breach tried once while the model is imported, and once in its forward pass, where it hides the error."""
    models, runs = {"honest": language_model()}, [("honest", "honest", 4)]
    told = f"CANARY = {str(canary)!r}"
    for number, (_, code) in enumerate(BREACHES.values()):
        models[f"import{number}"] = language_model(on_import=f"{told}\n{code}")
        models[f"forward{number}"] = language_model(on_import=told, on_forward=CAUGHT.format(code=code))
        runs += [(f"{moment}{number}", f"{moment}{number}", 4) for moment in ("import", "forward")]
    breach = "try:\n    open('/etc/passwd')\nexcept Exception:\n    pass\n"
    for number, code in enumerate(TAMPERING.values()):
        models[f"before{number}"] = language_model(on_forward=CAUGHT.format(code=f"{code}\n{breach}"))
        models[f"after{number}"] = language_model(on_forward=CAUGHT.format(code=f"{breach}{code}"))
        runs += [(f"{moment}{number}", f"{moment}{number}", 4) for moment in ("before", "after")]
    return outcomes(write_bundle(tmp_path_factory.mktemp("laws"), models, runs))


@pytest.mark.parametrize("breach", BREACHES)
@pytest.mark.parametrize("moment", ["import", "forward"])
def test_a_breach_is_stopped_listed_and_fails_its_run(
    breach: str, moment: str, judged: dict[str, dict[str, Any]], canary: Path
) -> None:
    outcome = judged[f"{moment}{list(BREACHES).index(breach)}"]
    violations = outcome["law_violations"]
    assert all(violation.startswith(BREACHES[breach][0] + ": ") for violation in violations)
    assert len(violations) >= 1
    assert (outcome["status"], outcome["bytes"]) == ("failed", b"")
    assert outcome["reason"] == f"broke a law: {violations[0]}"
    assert not canary.exists()


@pytest.mark.parametrize("way", TAMPERING)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_breach_counts_even_if_the_model_turns_on_the_guard(
    way: str, moment: str, judged: dict[str, dict[str, Any]]
) -> None:
    outcome = judged[f"{moment}{list(TAMPERING).index(way)}"]
    assert "own-directory: read /etc/passwd" in outcome["law_violations"]
    assert (outcome["status"], outcome["bytes"]) == ("failed", b"")
    assert outcome["reason"].startswith("broke a law: ")


def test_an_honest_run_beside_them_finishes_without_a_violation(judged: dict[str, dict[str, Any]]) -> None:
    assert (judged["honest"]["status"], judged["honest"]["law_violations"]) == ("finished", [])


def test_what_writes_into_memory_or_reads_what_was_given_is_no_violation(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    code = (
        "import io, safetensors.torch as s; content = io.BytesIO(); torch.save(torch.ones(2), content)\n"
        "assert content.tell() and s.load_file(__file__.split('models')[0] + 'data/train.safetensors')"
    )
    place = write_bundle(tmp_path, {"saves": language_model(on_import=code)}, [("saves", "saves", 4)])
    outcome = outcomes(place)["saves"]
    assert (outcome["status"], outcome["reason"], outcome["law_violations"]) == ("finished", "", [])


def test_of_the_environment_a_run_sees_what_the_libraries_need(
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AAMS_ARBITER_SECRET", "a secret of this machine")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code = "import os; raise ValueError([name for name in os.environ if name[:4] in ('AAMS', 'CUDA')])"
    place = write_bundle(tmp_path, {"looks": language_model(on_import=code)}, [("looks", "looks", 4)])
    assert outcomes(place)["looks"]["reason"] == "ValueError: ['CUDA_VISIBLE_DEVICES']"


def test_violations_name_what_was_tried(judged: dict[str, dict[str, Any]], canary: Path) -> None:
    def told(breach: str) -> list[str]:
        found: list[str] = judged[f"import{list(BREACHES).index(breach)}"]["law_violations"]
        return found

    assert told("read") == ["own-directory: read /etc/passwd"]
    assert told("network") == ["no-network: socket.__new__"]
    assert told("mkdir") == [f"own-directory: os.mkdir {canary}"]
    assert told("environment") == ["no-system: os.putenv"]


def test_every_law_the_guard_tells_of_is_one_of_the_contracts() -> None:
    from safety.contract import CONTRACT_PATH, load_contract
    from trainer import laws

    contract = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
    told = [laws.ROOT, laws.OWN, laws.NETWORK, laws.SYSTEM, laws.BOUNDS, laws.LOGGED]
    assert told == [law.name for law in contract.laws]
