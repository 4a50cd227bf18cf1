"""A run in the middle: all that its next step depends on, as bytes and as a file.

Takes a model, its optimizer and what the run has come to; gives `<run>.checkpoint`: a digest of the rest, a line of
JSON that says whose it is, and safetensors, never a pickle. A run's own process packs and restores the tensors, its
parent writes the file and never looks into them. What is damaged, or of another manifest or environment, is as absent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from trainer.optimizers import Optimizer
from trainer.results import Bundle, fingerprint, write_whole


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stands: its outcome so far, as plain data, and its tensors as safetensors.

    The batches that it took are not in it: they are drawn from its seed, so their number is enough.
    """

    outcome: Mapping[str, Any]
    tensors: bytes


def pack(model: nn.Module, optimizer: Optimizer, loss: Tensor) -> bytes:
    """Serialise what training changes; `loss` is the sum since the last point of the curve, ()."""
    named = {**_changing(model, optimizer, loss), **_random(loss.device)}
    # Copies: parameters and buffers may be views of one storage, which safetensors refuses.
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in named.items()
    }
    return safetensors.torch.save(copies)


@torch.no_grad()
def restore(tensors: bytes, model: nn.Module, optimizer: Optimizer, loss: Tensor) -> None:
    """Fill all of it again, in place, and set the random state.

    Raises:
        ValueError: these are not the tensors of this model and this optimizer.
    """
    stored = safetensors.torch.load(tensors)
    wanted = _changing(model, optimizer, loss)
    if stored.keys() != wanted.keys() | _random(loss.device).keys():
        raise ValueError("the checkpoint is not of this model")
    for name, tensor in wanted.items():
        if stored[name].shape != tensor.shape or stored[name].dtype != tensor.dtype:
            raise ValueError(f"the checkpoint is not of this model: {name}")
        tensor.copy_(stored[name])
    torch.set_rng_state(stored["random.cpu"])
    if loss.device.type == "cuda":
        torch.cuda.set_rng_state(stored["random.cuda"], loss.device)


def _changing(model: nn.Module, optimizer: Optimizer, loss: Tensor) -> dict[str, Tensor]:
    """Every tensor of a training by name: a shared parameter once, buffers too that weights leave out."""
    named = {f"model.{name}": tensor for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    gathered = {f"optimizer.{number}": tensor for number, tensor in enumerate(optimizer.state())}
    return {**named, **gathered, "loss": loss}


def _random(device: torch.device) -> dict[str, Tensor]:
    state = {"random.cpu": torch.get_rng_state()}
    return {**state, "random.cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def keep(out: Path, bundle: Bundle, environment: Mapping[str, Any], name: str, checkpoint: Checkpoint) -> str:
    """Write a run's checkpoint in the place of its last one, whole or not at all; the digest that it begins with."""
    header = {**_binding(bundle, environment, name), "outcome": checkpoint.outcome}
    content = json.dumps(header, sort_keys=True, allow_nan=False).encode("ascii") + b"\n" + checkpoint.tensors
    digest = hashlib.sha256(content).hexdigest()
    write_whole(_place(out, name), digest.encode("ascii") + b"\n" + content)
    return digest


def find(
    out: Path, bundle: Bundle, environment: Mapping[str, Any], name: str, written: str | None = None
) -> Checkpoint | None:
    """A run's checkpoint, when there is one that is whole and of this manifest and this environment.

    Args:
        written: digest of what this session wrote, if it did: a run that got out of its bounds could write there too.
    """
    try:
        claimed, _, content = _place(out, name).read_bytes().partition(b"\n")
        digest = hashlib.sha256(content).hexdigest()
        if claimed != digest.encode("ascii") or digest != (written or digest):
            return None
        header, _, tensors = content.partition(b"\n")
        found = json.loads(header)
        outcome: dict[str, Any] = found.pop("outcome")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Checkpoint(outcome, tensors) if found == _binding(bundle, environment, name) else None


def forget(out: Path, name: str) -> None:
    """Remove the checkpoint of a run that has ended."""
    _place(out, name).unlink(missing_ok=True)


def _binding(bundle: Bundle, environment: Mapping[str, Any], name: str) -> dict[str, str]:
    return {"run": name, "manifest": bundle.digest, "fingerprint": fingerprint(environment)}


def _place(out: Path, name: str) -> Path:
    return out / f"{name}.checkpoint"
