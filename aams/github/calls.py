"""How AAMS calls GitHub: with a deadline, again after a failure that passes, and never with a token in what it says.

Takes calls, gives their answers. Waits as long as GitHub asks, up to a limit. What must not happen twice is not called
again after an answer that was lost: whoever wrote it looks first when the command is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from aams.errors import AamsError, Problem

if TYPE_CHECKING:
    from tenacity import RetryCallState

Answer = TypeVar("Answer")

TIMEOUT_S = 20
TRIES = 5
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
PASSING = (429, 500, 502, 503, 504)


class GitHubError(AamsError):
    """GitHub refused, or can't be reached.

    Attributes:
        status: of its answer; 0 when there was none.
    """

    def __init__(self, what: str, status: int, said: str) -> None:
        super().__init__(Problem(what, f"{status} {said}".strip(), _advice(status), file="github"))
        self.status = status


def call(what: str, act: Callable[[], Answer], repeats: bool = True) -> Answer:
    """Call, and call again after what passes by itself.

    Args:
        what: for the error, e.g. "can't open the pull request".
        repeats: whether it may be done twice. If not, it is called again only where GitHub did nothing for sure.

    Raises:
        GitHubError: it was refused, or failed `TRIES` times.
    """
    import github
    import requests
    import tenacity

    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_passes if repeats else _was_put_off),
            wait=_wait,
            stop=tenacity.stop_after_attempt(TRIES),
            reraise=True,
        )(act)
    except github.GithubException as error:
        raise GitHubError(what, error.status, _said(error)) from None
    except requests.RequestException as error:
        raise GitHubError(what, 0, type(error).__name__) from None


def _passes(error: BaseException) -> bool:
    """Whether it may go well the next time."""
    import github
    import requests

    if isinstance(error, github.GithubException) and error.status in PASSING:
        return True
    return _was_put_off(error) or isinstance(error, requests.ConnectionError | requests.Timeout)


def _was_put_off(error: BaseException) -> bool:
    """Whether GitHub refused it for now, as one call too many."""
    import github

    if not isinstance(error, github.GithubException):
        return False
    return error.status == 429 or (error.status == 403 and _asked_wait_s(error) > 0)


def _wait(state: RetryCallState) -> float:
    """As long as GitHub asks, else twice as long every time, in seconds."""
    error = state.outcome.exception() if state.outcome else None
    asked_s = _asked_wait_s(error) if error else 0.0
    longer_s = FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1)
    return min(LONGEST_WAIT_S, max(asked_s, longer_s))


def _asked_wait_s(error: BaseException) -> float:
    """Seconds that the answer's headers ask to wait; 0 when they don't."""
    headers = {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}
    try:
        if "retry-after" in headers:
            return max(0.0, float(headers["retry-after"]))
        if headers.get("x-ratelimit-remaining") == "0":
            return max(0.0, float(headers["x-ratelimit-reset"]) - time.time())
    except (KeyError, ValueError):
        pass
    return 0.0


def _said(error: object) -> str:
    """GitHub's own sentence, as one short line."""
    data = getattr(error, "data", None)
    message = data.get("message") if isinstance(data, dict) else None
    return " ".join(str(message or "").split())[:200]


def _advice(status: int) -> str:
    if status == 401:
        return "give a token that is valid, in AAMS_GITHUB_TOKEN"
    if status in (403, 404):
        return "see that the token may do this; docs/setup-github.md lists what each one needs"
    return "run the same command again" if status in (0, *PASSING) else ""
