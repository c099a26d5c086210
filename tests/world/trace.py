"""What happened in a world, in order: for whoever has to understand it, and to tell two worlds apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from tests.world.simulation import Simulation


@dataclass(frozen=True)
class Occasion:
    """Where one kind of trouble can strike: one delivery of one message, and in it one commit (0: none of them).

    ``number`` counts the messages that ask for this work of this saga, ``copy`` is 2 for a duplicate.
    """

    kind: str
    saga_id: str
    work: str = ""
    number: int = 1
    copy: int = 1
    receives: int = 1
    commit: int = 0

    def __str__(self) -> str:
        where = [f"message {self.number}"] * (self.number > 1) + ["its duplicate"] * (self.copy > 1)
        where += [f"delivery {self.receives}"] * (self.receives > 1) + [f"commit {self.commit}"] * (self.commit > 1)
        return f"{self.kind}: {self.work or 'request'} of {self.saga_id}{''.join(f', {part}' for part in where)}"


@dataclass(frozen=True)
class Line:
    """One thing that happened to one saga."""

    t_s: float
    saga_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.t_s:9.3f} s  {self.saga_id}  {self.what}"


class Trace:
    """``fired`` counts what went wrong, by kind; planted bugs count there too. ``struck`` is the trouble itself.

    ``calm_s``: when the last effect of any trouble so far is over, such as the arrival of what was delayed.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.fired: Counter[str] = Counter()
        self.struck: list[Occasion] = []
        self.lines: list[Line] = []
        self.calm_s = 0.0
        self.listener: Callable[[Line], None] = lambda _: None

    def note(self, saga_id: str, what: str) -> None:
        """Something happened. It is over: whoever listens sees the world as it is after it."""
        line = Line(self._simulation.now_s, saga_id, what)
        self.lines.append(line)
        self.listener(line)

    def strike(self, occasion: Occasion, lasts_s: float = 0.0) -> None:
        """Trouble struck."""
        self.fired[occasion.kind] += 1
        self.struck.append(occasion)
        self.calm_s = max(self.calm_s, self._simulation.now_s + lasts_s)
        self.note(occasion.saga_id, f"! {occasion}")

    def digest(self) -> str:
        """The same for the same things at the same times in the same order, in any process."""
        told = "\n".join(f"{line.t_s!r} {line.saga_id} {line.what}" for line in self.lines)
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def in_words(self, *saga_ids: str) -> str:
        """The lines of these sagas; of all where none is named."""
        return "\n".join(str(line) for line in self.lines if not saga_ids or line.saga_id in saga_ids)
