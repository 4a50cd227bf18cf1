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
    "limits": ("bounds", "import resource as r; r.setrlimit(r.RLIMIT_DATA, (-1, -1))"),
    "read": ("own-directory", "open('/etc/passwd').read()"),
    "low read": ("own-directory", "import os; os.open('/etc/passwd', os.O_RDONLY)"),
    "listing": ("own-directory", "import os; os.listdir('/etc')"),
    "climbing": (
        "own-directory",
        "import pathlib; pathlib.Path(__file__, '../../../../../../../../etc/passwd').read_text()",
    ),
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
