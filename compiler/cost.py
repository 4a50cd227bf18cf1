"""The static cost model: what a spec costs, without torch and before anything is expanded.

Takes a spec and the interface of its data. Parameters are exact; FLOPs are exact for matrix products, convolutions and
attention (a multiply-add counts two; elementwise work counts nothing). Never builds the model.
"""

from __future__ import annotations

from aams.records import Cost, Interface
from compiler.fields import Tally, Tree
from compiler.identity import full
from compiler.ops import OPS
from compiler.recipe import newton_schulz_flops
from compiler.skeletons import SKELETONS
from compiler.tally import times, total

STATE_PER_PARAMETER = {"adamw": 2, "muon": 2, "sgd": 1}
"""Numbers of optimizer state beside each weight, an upper bound: Muon keeps one for a matrix and two for the rest."""


def estimate(tree: Tree, interface: Interface) -> Cost:
    """Cost of a valid spec on data of this interface.

    Returns:
        A `Cost`; FLOPs of one item forward, of one item forward and backward, and of one training step.
    """
    spec = full(tree)
    skeleton = SKELETONS[spec["domain"]]
    model = spec["model"]
    tally = total(
        skeleton.frame(model, interface),
        *(
            times(OPS[site.kind][site.op["op"]].cost(site.op, site.place), site.repeat)
            for site in skeleton.sites(model, interface)
        ),
    )
    item_tokens = model["context"] if spec["domain"] == "language" else 1
    return _per_step(tally, spec, skeleton.items(spec), item_tokens)


def _per_step(tally: Tally, spec: Tree, items: int, item_tokens: int) -> Cost:
    optimizer = spec["training"]["optimizer"]["op"]
    update = newton_schulz_flops(tally.matrices) if optimizer == "muon" else 0
    training = tally.forward_flops + tally.backward_flops
    return Cost(
        parameters=tally.parameters,
        forward_flops=tally.forward_flops,
        training_flops=training,
        update_flops=update,
        items=items,
        step_flops=training * items + update,
        activation_bytes=4 * tally.activations * items,
        optimizer_bytes=4 * tally.parameters * (2 + STATE_PER_PARAMETER[optimizer]),
        item_tokens=item_tokens,
    )
