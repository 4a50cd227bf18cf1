"""Commands that have commands of their own, as `aams keys init`."""

from __future__ import annotations

import argparse
import copy
from typing import Any


def add_actions(subparsers: Any, common: argparse.ArgumentParser, name: str, help_: str) -> tuple[Any, Any]:
    """Add a command whose first argument is an action.

    Returns:
        Where to add the actions, and the options that each of them takes too.
    """
    command = subparsers.add_parser(name, parents=[common], help=help_)
    inner = copy.deepcopy(common)
    for option in inner._actions:
        # An option left out after ACTION must not undo the same option given before it.
        option.default = argparse.SUPPRESS
    return command.add_subparsers(required=True, metavar="ACTION"), inner
