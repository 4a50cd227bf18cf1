"""Commands about spec files: validate, compile, cost, mutate. They read one file and write nothing but their answer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from aams.commands.output import emit, note


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    validate = subparsers.add_parser("validate", parents=[common], help="check a spec and tell its id")
    validate.add_argument("file", nargs="+", type=Path, help="a spec in YAML")
    validate.set_defaults(command=_validate)

    compile_ = subparsers.add_parser("compile", parents=[common], help="turn a spec into readable PyTorch")
    compile_.add_argument("file", type=Path, help="a spec in YAML")
    compile_.add_argument("-o", "--output", type=Path, help="write the source there instead of to stdout")
    compile_.set_defaults(command=_compile)

    cost = subparsers.add_parser("cost", parents=[common], help="parameters, FLOPs and memory of a spec, without torch")
    cost.add_argument("file", type=Path, help="a spec in YAML")
    cost.set_defaults(command=_cost)

    mutate = subparsers.add_parser("mutate", parents=[common], help="show one mutation of a spec")
    mutate.add_argument("file", type=Path, help="a spec in YAML")
    mutate.add_argument("--seed", type=int, required=True, help="equal seed, equal child")
    mutate.add_argument("--operator", help="only this operator")
    mutate.add_argument("-o", "--output", type=Path, help="write the child there instead of to stdout")
    mutate.set_defaults(command=_mutate)


def _validate(args: argparse.Namespace) -> int:
    from compiler import spec

    specs = [(file, spec.read(file)) for file in args.file]
    data = [{"file": str(file), "domain": one.domain, "id": one.id} for file, one in specs]
    emit(args, {"specs": data}, [f"{file}: a valid {one.domain} spec, id {one.id}" for file, one in specs])
    return 0


def _compile(args: argparse.Namespace) -> int:
    from aams.files import write_whole
    from compiler import render, spec
    from domains import active_interface

    one = spec.read(args.file)
    source = render.render(one, active_interface(one.domain))
    if args.output:
        write_whole(args.output, source.encode("ascii"))
        note(f"{args.output}: written")
    emit(args, {"id": one.id, "source": source}, [] if args.output else source.rstrip("\n").split("\n"))
    return 0


def _cost(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from compiler import cost, spec
    from domains import DOMAINS, active_interface

    one = spec.read(args.file)
    estimate = cost.estimate(one.tree, active_interface(one.domain))
    compute = DOMAINS[one.domain].COMPUTE_FLOPS
    steps = max(1, compute // estimate.step_flops)
    lines = [
        f"parameters       {estimate.parameters:>16,}",
        f"forward          {estimate.forward_flops:>16,} FLOPs an item",
        f"training         {estimate.training_flops:>16,} FLOPs an item",
        f"optimizer        {estimate.update_flops:>16,} FLOPs a step",
        f"step             {estimate.step_flops:>16,} FLOPs, {estimate.items} items",
        f"activations      {estimate.activation_bytes:>16,} bytes",
        f"weights + state  {estimate.optimizer_bytes:>16,} bytes",
        f"run              {steps:>16,} steps for the domain's {compute:,} FLOPs",
    ]
    emit(args, {"id": one.id, "steps": steps, **to_data(estimate)}, lines)
    return 0


def _mutate(args: argparse.Namespace) -> int:
    from random import Random

    from aams.canonical import to_data
    from aams.errors import failure
    from aams.files import write_whole
    from compiler import edit, spec
    from evolution.mutators import MUTATORS, mutate

    if args.operator and args.operator not in MUTATORS:
        raise failure("--operator is unknown", args.operator, "one of " + ", ".join(MUTATORS))
    one = spec.read(args.file)
    rng = Random(args.seed)
    operators = [args.operator] if args.operator else rng.sample(sorted(MUTATORS), len(MUTATORS))
    found = next(filter(None, (mutate(one, operator, rng) for operator in operators)), None)
    if found is None:
        raise failure("the operator has no legal site in this spec", args.operator, "try another", file=str(args.file))
    child, mutation = found
    text = edit.edit(args.file.read_text(encoding="utf-8"), child.tree)
    if args.output:
        write_whole(args.output, text.encode())
    note(f"{mutation.operator} at {mutation.path}: {mutation.rationale}")
    emit(
        args,
        {"id": child.id, "spec": child.tree, "mutation": to_data(mutation)},
        [] if args.output else text.rstrip("\n").split("\n"),
    )
    return 0
