"""Sealing what must not be known yet: whether an attempt's child is a placebo, and which spec it is.

Takes the arbiter's secret and a cycle, gives the coin, the salt and the commitment that goes on record before anything
is trained. After the verdict the salt is revealed, and anybody can check. Locally the secret is a public constant, so
that local cycles are reproducible; who knows it can look ahead, which is why a lab with outsiders keeps one of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from fractions import Fraction

from aams.canonical import digest

_BITS = 64


def is_placebo(secret: bytes, cycle: str, rate: Decimal) -> bool:
    """Toss the cycle's coin: true with probability `rate`, which is compared exactly."""
    ticket = int(_derive(secret, f"placebo/{cycle}")[: _BITS // 4], 16)
    return ticket < Fraction(rate) * (1 << _BITS)


def salt_of(secret: bytes, cycle: str) -> str:
    """The salt of a cycle's commitment: 64 hexadecimal digits."""
    return _derive(secret, f"salt/{cycle}")


def seal(salt: str, spec: str, placebo: bool) -> str:
    """Commitment to an attempt's child: SHA-256 over the salt, the spec's id and the coin."""
    return digest({"salt": salt, "spec": spec, "placebo": placebo})


def _derive(secret: bytes, purpose: str) -> str:
    return hmac.digest(secret, purpose.encode(), hashlib.sha256).hex()
