"""What only one may have, of all worker processes that there are in a block and all that come after them."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path


class Claims:
    """Kept as empty files, for a process that is killed remembers nothing else. The folder is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, *key: str | int) -> bool:
        """True for the first who asks, in whatever process; false for everybody after."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).hexdigest()
        try:
            os.close(os.open(self._folder / name, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True
