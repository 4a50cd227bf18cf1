"""Kaggle's client, signed in: with time limits, and again after a failure that passes.

Takes Kaggle's calls, gives their answers or a `Failed` of one of `KINDS`. It is for `kaggle_client`'s own process: it
changes how every HTTP request of the process is made. It never says the credential.

Where the client connects is its own business: https://api.kaggle.com, or with KAGGLE_API_ENVIRONMENT=LOCALHOST
http://localhost, port 80, which `http_proxy` can bring elsewhere. The credential is KAGGLE_USERNAME and KAGGLE_KEY, or
KAGGLE_API_TOKEN.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

KINDS = ("invalid", "unauthorised", "missing", "busy", "dropped", "refused", "large", "unreachable", "late", "broken")
SOCKET_S = 30.0
TRIES = 6
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
PASSING = (409, 429, 500, 502, 503, 504)
NOT_DONE = (409, 429)
"""Statuses after which nothing was done for sure."""
MEANING = {401: "unauthorised", 403: "missing", 404: "missing", 409: "busy", 429: "busy"}
"""Kaggle denies what is missing, and what is somebody else's, with 403."""
SECRETS = ("KAGGLE_KEY", "KAGGLE_API_TOKEN")
MAX_SAID = 300


class Failed(Exception):  # noqa: N818 it is what happened, and ends up in an answer
    """An answer that is none."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


class Account:
    """The client as somebody.

    Attributes:
        api: the client.
        user: whose the credential is.
    """

    def __init__(self, deadline: float) -> None:
        """Sign in.

        Args:
            deadline: of `time.monotonic`; no wait goes beyond it.
        """
        self._deadline = deadline
        _limit_sockets()
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi
        except ModuleNotFoundError:
            raise Failed("invalid", "Kaggle's client is not installed: requirements/kaggle.lock") from None
        self.api = KaggleApi()
        self.api.with_retry = lambda act, *_, **__: act  # `repeat` does that, and looks first
        try:
            self.repeat(self.api.authenticate)
        except SystemExit:
            raise Failed("unauthorised", "no valid KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN") from None
        self.user = str(self.api.config_values["username"])

    def repeat(self, act: Callable[[], Answer], is_done: Callable[[], Answer | None] = lambda: None) -> Answer:
        """Act, and again after a failure that passes, waiting as long as Kaggle asks.

        Args:
            is_done: asked before a try that follows a lost answer; what it finds done is not done again.

        Raises:
            Failed: it was refused, or failed `TRIES` times.
        """
        import tenacity

        lost = False
        left_s = self._deadline - time.monotonic()

        def once() -> Answer:
            nonlocal lost
            if lost and (found := is_done()) is not None:
                return found
            try:
                return act()
            except Exception as error:
                lost = lost or _status(error) not in NOT_DONE
                raise

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception(_passes),
                wait=_wait_s,
                stop=tenacity.stop_after_attempt(TRIES) | tenacity.stop_before_delay(left_s),
                reraise=True,
            )(once)
        except Exception as error:
            raise _failed(error) from error

    def unless_missing(self, act: Callable[[], Answer]) -> Answer | None:
        """Act; None where Kaggle says that what it is about is not there."""
        try:
            return self.repeat(act)
        except Failed as failure:
            if failure.kind != "missing":
                raise
            return None

    def about(self, name: str, slug: str, **fields: Any) -> Any:
        """Make one call about a kernel of one's own. Its answer is the JSON as sent: the client would guess."""
        from kagglesdk.kernels.types import kernels_api_service as types

        asked = getattr(types, f"Api{name}Request")()
        for field, value in {"user_name": self.user, "kernel_slug": slug, **fields}.items():
            setattr(asked, field, value)
        with self.api.build_kaggle_client() as client:
            return client.http_client().call("kernels.KernelsApiService", name, asked, _AsSent)


class _AsSent:
    """A type of answer for the client's `call`: the JSON itself."""

    @staticmethod
    def prepare_from(response: Any) -> Any:
        return response.json()


def safe(said: str) -> str:
    """One short line without a credential."""
    for name in SECRETS:
        if os.environ.get(name):
            said = said.replace(os.environ[name], "***")
    return " ".join(said.split())[:MAX_SAID]


def _limit_sockets() -> None:
    """Give every request a time limit: the client sets none, and makes its sessions where nobody can reach them."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def limited(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        return send(self, request, *args, **{**options, "timeout": options.get("timeout") or SOCKET_S})

    HTTPAdapter.send = limited  # type: ignore[method-assign]


def _status(error: BaseException) -> int:
    """Status of a refusal, of which the client makes a ValueError at times; 0 for anything else."""
    for each in (error, error.__context__):
        if getattr(each, "response", None) is not None:
            return int(getattr(each, "response").status_code)  # noqa: B009 not every error has one
    return 0


def _passes(error: BaseException) -> bool:
    """Whether it may go well the next time."""
    import requests

    lost = requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
    return _status(error) in PASSING or isinstance(error, lost)


def _wait_s(state: Any) -> float:
    """As long as Kaggle asks, else twice as long every time."""
    response = getattr(state.outcome.exception(), "response", None)
    longer_s = FIRST_WAIT_S * 2.0 ** float(state.attempt_number - 1)
    try:
        asked_s = float(response.headers.get("Retry-After", 0)) if response is not None else 0.0
    except ValueError:
        asked_s = 0.0
    return float(min(LONGEST_WAIT_S, max(asked_s, longer_s)))


def _failed(error: Exception) -> Failed:
    """What an error comes to."""
    if isinstance(error, Failed):
        return error
    status = _status(error)
    if status >= 400:
        return Failed(MEANING.get(status, "unreachable" if status >= 500 else "refused"), f"{status} {error}")
    return Failed("unreachable" if _passes(error) else "broken", f"{type(error).__name__}: {error}")
