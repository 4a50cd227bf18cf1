from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BREACHES = {
    "network": "import socket; socket.socket()",
    "name lookup": "import socket; socket.getaddrinfo('localhost', 80)",
    "process": "import subprocess; subprocess.run(['true'])",
    "shell": "import os; os.system('true')",
    "fork": "import os; os.fork()",
    "kill": "import os; os.kill(os.getppid(), 9)",
    "library": "import ctypes; ctypes.CDLL('libc.so.6')",
    "read": "open('/etc/passwd').read()",
    "low read": "import os; os.open('/etc/passwd', os.O_RDONLY)",
    "listing": "import os; os.listdir('/etc')",
    "climbing": "import pathlib; pathlib.Path(__file__, '../../../../../../../../etc/passwd').read_text()",
    "write": "open(CANARY, 'w').write('x')",
    "append": "open(CANARY, 'a')",
    "mkdir": "import os; os.mkdir(CANARY)",
    "rename": "import os; os.rename(__file__, CANARY)",
    "own bundle": "open(__file__, 'a')",
    "database": "import sqlite3; sqlite3.connect(CANARY)",
}
LAW = {
    **dict.fromkeys(("network", "name lookup"), "network"),
    **dict.fromkeys(("process", "shell", "fork", "kill", "library"), "process"),
    **dict.fromkeys(("read", "low read", "listing", "climbing"), "read"),
    **dict.fromkeys(("write", "append", "mkdir", "rename", "own bundle", "database"), "write"),
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
    for number, code in enumerate(BREACHES.values()):
        told = f"CANARY = {str(canary)!r}"
        models[f"import{number}"] = language_model(on_import=f"{told}\n{code}")
        models[f"forward{number}"] = language_model(on_import=told, on_forward=CAUGHT.format(code=code))
        runs += [(f"{moment}{number}", f"{moment}{number}", 4) for moment in ("import", "forward")]
    return outcomes(write_bundle(tmp_path_factory.mktemp("laws"), models, runs))


@pytest.mark.parametrize("breach", BREACHES)
@pytest.mark.parametrize("moment", ["import", "forward"])
def test_a_breach_is_stopped_listed_and_fails_its_run(
    breach: str, moment: str, judged: dict[str, dict[str, Any]], canary: Path
) -> None:
    outcome = judged[f"{moment}{list(BREACHES).index(breach)}"]
    assert (outcome["status"], outcome["reason"], outcome["bytes"]) == ("failed", "broke a law", b"")
    assert all(violation.startswith(LAW[breach] + ": ") for violation in outcome["law_violations"])
    assert len(outcome["law_violations"]) >= 1
    assert not canary.exists()


def test_an_honest_run_beside_them_finishes_without_a_violation(judged: dict[str, dict[str, Any]]) -> None:
    assert (judged["honest"]["status"], judged["honest"]["law_violations"]) == ("finished", [])


def test_violations_name_what_was_tried(judged: dict[str, dict[str, Any]]) -> None:
    assert judged[f"import{list(BREACHES).index('read')}"]["law_violations"] == ["read: /etc/passwd"]
    assert judged[f"import{list(BREACHES).index('network')}"]["law_violations"] == ["network: socket.__new__"]
