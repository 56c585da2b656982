"""Files of saved runs that were changed and have the right hash again, as somebody who forges them would write them."""

from __future__ import annotations

from tickets.store.sealed import sealed_json


def write_sealed(path, content):
    """Write run.json or a manifest with this content, after its own SHA-256."""
    path.write_bytes(sealed_json({key: value for key, value in content.items() if key != "sha256"}))
