"""Random numbers that are pure functions of what they are for.

Not a shared stream: a stream's next number depends on who asked before, and the two topologies ask in different
orders. A keyed hash gives the same number for the same question in every process, forever.
"""

from __future__ import annotations

from hashlib import blake2b


def uniform(seed: int, *key: str | int) -> float:
    """A number in [0, 1), uniform over keys; 53 bits of BLAKE2b over the seed and the key's parts."""
    text = "\x1f".join([str(seed), *map(str, key)])
    digest = blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
