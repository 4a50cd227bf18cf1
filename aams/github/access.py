"""Which repository is meant, and under whose token: what the environment of a command says.

Takes names of environment variables, gives a `Repository`. Nothing is asked of GitHub yet.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec

from aams.errors import failure
from aams.github.repository import API, Repository

TOKEN = "AAMS_GITHUB_TOKEN"  # noqa: S105


def open_repository(name: str = "") -> Repository:
    """A repository under the token of the environment.

    Args:
        name: `owner/name`; without it, GITHUB_REPOSITORY says.

    Raises:
        AamsError: PyGithub is not installed, no repository is named, or there is no token.
    """
    if find_spec("github") is None:
        raise failure("PyGithub is not installed", "", "pip install --require-hashes -r requirements/github.lock")
    chosen = name or os.environ.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", chosen):
        raise failure("names no repository", chosen[:80] or "nothing", "set GITHUB_REPOSITORY to OWNER/NAME")
    token = os.environ.get(TOKEN, "")
    if not token:
        raise failure("there is no token", f"{TOKEN} is not set", "docs/setup-github.md says which one to make")
    return Repository(chosen, token, os.environ.get("GITHUB_API_URL", API))
