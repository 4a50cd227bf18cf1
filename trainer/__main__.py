"""Train every run of a bundle: `python -m trainer BUNDLE_DIR OUT_DIR`.

Takes a bundle, gives `results.json`, `<run>.safetensors` for each finished run, and progress as JSON lines on stdout
and in `progress.json`. Started again after it was interrupted or killed, it keeps the runs that are finished and goes
on with the others at their checkpoints, to the same bytes. Exit status: 0 done (a failed run is a result), 1 a bad
bundle or a full disk, 2 usage, 3 another environment than `--fingerprint` says, 130 interrupted; what was done is then
kept and nothing is half-written.

With `--only` it is one pass among several, whose files somebody carries between machines: each named run is trained to
its end or to where it waits for others, decided is what can be, and while any run is missing the last line tells, as
`next`, which may go on. The pass that finds every run ended writes the results.

The budget's time is the whole bundle's. It goes on after an interruption from what the longest of its runs has taken,
as nobody knows how long the others took beside it; time in which nothing was trained doesn't count.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import os
import signal
import sys
import time
from pathlib import Path

from trainer import results
from trainer.progress import say

OTHER_ENVIRONMENT = 3
CHECKPOINT_S = 120.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    # Asks for a GPU without initialising CUDA, which a fork would not survive.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}


def main() -> int:
    """Run the command; returns its exit status."""
    options = _parse()
    os.environ.update(_ENVIRONMENT)
    interruption = _listen_for_signals()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        results.remove_parts(options.out)
        bundle = results.read_bundle(options.bundle, options.manifest_digest)
        is_whole = _train(bundle, options, interruption)
    except results.OtherEnvironmentError as error:
        print(f"trainer: {error}", file=sys.stderr)
        return OTHER_ENVIRONMENT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        is_whole = False
    except results.BundleError as error:
        print(f"trainer: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or options.out
        print(f"trainer: {place}: {error.strerror}; free space or mend it, then run again", file=sys.stderr)
        return 1
    if not is_whole:
        print("trainer: interrupted; run it again to go on", file=sys.stderr)
    return 0 if is_whole else 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trainer", description="Train every run of a bundle.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="the bundle, unpacked")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="where results go; may hold an interrupted try")
    parser.add_argument("--workers", type=int, default=_cores(), help="runs at a time (default: cores)")
    parser.add_argument("--manifest-digest", default="", metavar="HEX", help="refuse a manifest with another digest")
    parser.add_argument("--isolation", default="none", help="how this process is confined, for the record")
    parser.add_argument(
        "--checkpoint-s", type=float, default=CHECKPOINT_S, metavar="S", help="seconds between a run's checkpoints"
    )
    parser.add_argument("--only", nargs="*", metavar="RUN", help="one pass that trains these runs, or none")
    parser.add_argument("--spent-s", type=float, default=0.0, metavar="S", help="seconds that other passes have taken")
    parser.add_argument("--fingerprint", default="", metavar="HEX", help="refuse an environment with another digest")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listen_for_signals() -> int:
    """Turn signals into bytes in a pipe, and give its end.

    A handler that raised could do so anywhere, in a destructor too, where Python swallows it.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    return heard


def _train(bundle: results.Bundle, options: argparse.Namespace, interruption: int) -> bool:
    """Train what is missing and write the results, unless interrupted; says whether all was done that was asked for."""
    gc.disable()
    from trainer import runs, session  # these import torch, which must see _ENVIRONMENT

    gc.freeze()  # what torch's import left is there to stay: not searched at the end of this process, nor in its forks
    gc.enable()
    started_at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    started = time.monotonic()
    environment = runs.look_around()
    if options.fingerprint not in ("", results.fingerprint(environment)):
        raise results.OtherEnvironmentError("this machine is not of the kind that the other runs are trained on")
    is_pass = options.only is not None
    training = session.Session(bundle, options.out, environment, options.checkpoint_s, is_pass)
    wanted = [run for run in training.missing() if not is_pass or run["name"] in options.only]
    begun = started - max(options.spent_s, training.spent_s())
    deadline = begun + bundle.inputs["budget"]["wall_s"]
    hear, workers = training.progress.hear, options.workers
    ended = runs.outcomes(bundle, wanted, training.next_segment, workers, hear, interruption, deadline)
    with contextlib.closing(ended):
        for run, outcome, content in ended:
            training.take(run, outcome, content)
    if missing := training.missing():
        if not is_pass:
            return False
        able = [run["name"] for run in missing if training.ladder.may_go_on(run["name"])]
        say({"event": "next", "runs": able, "fingerprint": results.fingerprint(environment)})
        return not any(run["name"] in able for run in wanted)
    training.write({"started_at": started_at, "wall_s": round(time.monotonic() - begun, 6)}, options.isolation)
    return True


if __name__ == "__main__":
    sys.exit(main())
