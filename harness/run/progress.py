"""What a run says while it works: one line a phase, and on a terminal a live line with the counts."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

PLAIN_EVERY_S = 10.0
"""How often lines that nobody watches come, where there is no terminal."""


class Teller(Protocol):
    """Whom a run tells how it is going."""

    def say(self, text: str) -> None:
        """Something happened that stays worth reading."""
        ...

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        """This far into a phase that takes a while."""
        ...


class TerminalTeller:
    """A bar that moves, under lines that stay."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=1, counts="", visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        """Move the bar."""
        self._progress.update(
            self._task, description=label, completed=min(done_s, total_s), total=total_s, counts=counts, visible=True
        )


class PlainTeller:
    """Lines, for logs and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_s = -PLAIN_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        """Print a line now and then."""
        now_s = time.monotonic()
        if now_s - self._last_s >= PLAIN_EVERY_S:
            self._last_s = now_s
            self.say(f"  {label}: {min(done_s, total_s):.0f} of {total_s:.0f} s, {counts}")


def teller(console: Console) -> TerminalTeller | PlainTeller:
    """The one that suits where the output goes."""
    return TerminalTeller(console) if console.is_terminal else PlainTeller(console)
