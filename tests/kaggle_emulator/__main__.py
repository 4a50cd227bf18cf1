"""Kaggle as a process of its own that may be killed: `python -m kaggle_emulator FOLDER USER`, with `tests` on the path.

Prints the environment of a user as JSON when it listens; another one on the same folder goes on where it was, at the
same address. It ends with its stdin.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .emulator import KaggleEmulator


def main() -> None:
    """Emulate until nobody wants it."""
    with KaggleEmulator(Path(sys.argv[1])) as site:
        print(json.dumps(site.environment(sys.argv[2])), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
