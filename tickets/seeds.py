"""Seeds: every use of random numbers has its own stream.

A stream is named by its purpose, never by how many other streams exist. More replicates, arms, draws or rounds
therefore change no other stream.
"""

from __future__ import annotations

import hashlib
import json


def stream(*name: int | str) -> int:
    """The seed of the stream with this name: the first 63 bits of the SHA-256 of the name as JSON.

    Parameters
    ----------
    *name
        Usually campaign seed, replicate, purpose, round, draw.

    Returns
    -------
    int
        In [0, 2**63).
    """
    digest = hashlib.sha256(json.dumps(name, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
