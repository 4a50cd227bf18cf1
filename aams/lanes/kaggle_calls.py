"""How AAMS asks Kaggle: each request in a process of its own, which alone holds the credential.

Takes a request of `kaggle_client.REQUESTS`, gives its answer as plain data. Nothing of this process's environment goes
there but what says who asks and where; what comes back is read as a stranger's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from aams.errors import AamsError, LaneError, Problem
from aams.lanes.kaggle_account import KINDS
from aams.strict import read_json

HERE = Path(__file__).parents[2]
CREDENTIAL = ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN")
ROUTE = (
    "KAGGLE_API_ENVIRONMENT",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
GRACE_S = 30.0
"""How long after its deadline the process may take to say so."""
MAX_ANSWER_BYTES = 64 * 2**20


class KaggleError(LaneError):
    """Kaggle did not do what it was asked.

    Attributes:
        kind: of `kaggle_account.KINDS`: what it comes to.
    """

    def __init__(self, do: str, kind: str, said: str) -> None:
        super().__init__(Problem(f"can't {do.replace('_', ' ')}: {kind}", said, _advice(kind), file="kaggle"))
        self.kind = kind


def ask(do: str, deadline_s: int = 300, **fields: Any) -> dict[str, Any]:
    """Have one errand done.

    Args:
        do: of `kaggle_client.REQUESTS`.
        deadline_s: of the whole errand, with all its tries.
        fields: the request's own; folders are absolute.

    Raises:
        KaggleError: it was not done.
    """
    request = {"do": do, "deadline_s": deadline_s, **fields}
    with tempfile.TemporaryDirectory(prefix="aams-kaggle-") as home:
        named = {name: os.environ[name] for name in (*CREDENTIAL, *ROUTE) if name in os.environ}
        own = {"PATH": os.defpath, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "PYTHONPATH": str(HERE)}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-s", "-m", "aams.lanes.kaggle_client"],
                input=json.dumps(request).encode(),
                capture_output=True,
                env={**own, **named},
                cwd=home,
                timeout=deadline_s + GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KaggleError(do, "late", "its process is silent") from None
    try:
        answer = read_json(done.stdout, "its answer", MAX_ANSWER_BYTES)
    except AamsError:
        answer = {"error": {"kind": "broken", "said": f"exit status {done.returncode} without an answer"}}
    if "error" in answer:
        kind, said = answer["error"]["kind"], answer["error"]["said"]
        raise KaggleError(do, kind if kind in KINDS else "broken", said)
    return dict(answer)


def _advice(kind: str) -> str:
    if kind == "unauthorised":
        return "give KAGGLE_USERNAME and KAGGLE_KEY of a valid key"
    return "run the same command again" if kind in ("busy", "unreachable", "late") else ""
