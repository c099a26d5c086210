"""Records on their way from a process to the history: one append-only file per process, one JSON object per line.

A line is handed to the operating system as soon as it is written, so a process that is killed loses nothing it had
recorded; a last line cut short by a kill is left for the reader to ignore.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harness.history.records import SpooledRow

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[SpooledRow] = msgspec.json.Decoder(SpooledRow)


def spool_folder(run: Path, block: int) -> Path:
    """Where the processes of a block spool, in the folder of their run; gone once the history has it all."""
    return run / "spool" / str(block)


class Spool:
    """The writing end. One per process; safe to use after a fork only in the process that opened it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, row: SpooledRow) -> None:
        """Append one record."""
        os.write(self._descriptor, _encoder.encode(row) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SpoolReader:
    """The reading end over all spools of a folder; remembers how far it has read each."""

    def __init__(self, folder: Path, offsets: dict[str, int] | None = None) -> None:
        self._folder = folder
        self.offsets: dict[str, int] = dict(offsets or {})

    def read(self) -> Iterator[SpooledRow]:
        """Whole lines that came since the last call. A line that is no record is skipped: it was cut by a kill."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self.offsets.get(path.name, 0))
                data = file.read()
            end = data.rfind(b"\n") + 1
            self.offsets[path.name] = self.offsets.get(path.name, 0) + end
            for line in data[:end].splitlines():
                try:
                    yield _decoder.decode(line)
                except msgspec.DecodeError:
                    continue
