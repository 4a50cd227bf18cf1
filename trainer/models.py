"""Generated models: their class from source, their tensors to and from safetensors.

Takes paths inside a bundle, gives modules and bytes. Reads source only, never cached bytecode, never a pickle.
"""

from __future__ import annotations

import types
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn


def build(path: Path) -> nn.Module:
    """Execute a generated file and construct its `Model`, with the random state as it is."""
    module = types.ModuleType("model")
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)  # noqa: S102
    model = module.Model()
    if not isinstance(model, nn.Module):
        raise TypeError("Model is not a torch module")
    return model


def context(model: nn.Module) -> int:
    """Longest sequence a model takes, in tokens; 0 where it takes none."""
    return int(getattr(model, "context", 0))


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers, a shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; what is shared appears once, under its first name."""
    seen: set[tuple[int, int]] = set()
    result = {}
    for name, tensor in model.state_dict().items():
        storage = (tensor.data_ptr(), tensor.numel())
        if storage not in seen:
            seen.add(storage)
            result[name] = tensor
    return result


def to_bytes(model: nn.Module) -> bytes:
    """Serialise a model's tensors as safetensors."""
    return safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in tensors(model).items()})


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model from safetensors with exactly its tensors: names, shapes and types.

    Raises:
        ValueError: something is missing, extra, or of another shape or type.
    """
    stored = safetensors.torch.load_file(path)
    wanted = tensors(model)
    if stored.keys() != wanted.keys():
        difference = sorted(stored.keys() ^ wanted.keys())
        raise ValueError(f"{path.name} does not hold the model's tensors; the first difference is {difference[0]!r}")
    for name, tensor in wanted.items():
        if stored[name].shape != tensor.shape or stored[name].dtype != tensor.dtype:
            raise ValueError(f"{path.name}: {name} is {_kind(stored[name])}, the model's is {_kind(tensor)}")
        tensor.copy_(stored[name])


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
