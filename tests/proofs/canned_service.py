"""Stands in for `trainer.service` in a prepared lab: gives the answers that torch gave once, and no others.

A job is known by what it asks and by the content of the files that it names, wherever they lie.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("answers.json")


def key(job: Any) -> str:
    return hashlib.sha256(json.dumps(_by_content(job), sort_keys=True).encode()).hexdigest()


def _by_content(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_content(item) for name, item in value.items()}
    if isinstance(value, str) and value.startswith("/"):
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


def main() -> None:
    answers = json.loads(ANSWERS.read_text())
    for line in sys.stdin:
        for job in json.loads(line)["jobs"]:
            print(json.dumps(answers.get(key(job), {"error": "this question was not prepared"})))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
