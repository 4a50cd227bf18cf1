"""`python -m aams` is the `aams` command."""

from __future__ import annotations

import sys

from aams.cli import main

if __name__ == "__main__":
    sys.exit(main())
