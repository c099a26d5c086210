"""Whether the client's own rows and its Prometheus series tell of the same number of ended sagas.

They are counted in two ways, one through the spool and one through the scrape, so a difference is a fault of the
harness. The end of a process explains a part of it: what it counted after its last scrape is in the rows only, whether
it was killed or, as the load generator of every block, had done its work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.run_data import COMPLETIONS, CPU, BlockData
from harness.report.series import counted

UNSEEN_S = 2.0
"""How long a process can go on counting after its last scrape: to the next one, which comes after a second or, where
the machine is busy, a little later."""


@dataclass(frozen=True)
class Agreement:
    """Ended sagas by the client rows, by the series, and how many the ends of processes explain."""

    rows: int
    series: int
    explained: int

    @property
    def holds(self) -> bool:
        """The series may fall short by what is explained, and never count more than the rows."""
        return 0 <= self.rows - self.series <= self.explained


def agreement(data: BlockData) -> Agreement:
    """Count both ways."""
    series = round(sum(counted(track) for track in data.of_kind(COMPLETIONS)))
    unseen = [_unseen(data, last_s) for last_s in _last_seen_s(data)]
    explained = int(np.count_nonzero(np.logical_or.reduce(unseen))) if unseen else 0
    return Agreement(rows=len(data.ended), series=series, explained=explained)


def _unseen(data: BlockData, last_s: float) -> NDArray[np.bool_]:
    """Of the ends, those that a process may have counted in vain that was last seen changing at ``last_s``.

    Until the next end there was nothing to count, so that scrapes in between found nothing new, which is not stored.
    """
    next_s = np.min(data.ended_s[data.ended_s > last_s], initial=np.inf)
    return (data.ended_s >= next_s) & (data.ended_s < next_s + UNSEEN_S)


def _last_seen_s(data: BlockData) -> list[float]:
    """When each counting process was last seen changing, of those that the block's last scrape did not find.

    By its CPU time, which changes at nearly every scrape, though not while a load generator only waits for its last
    sagas; and by what it counted.
    """
    counting = {track.target for track in data.of_kind(COMPLETIONS)}
    last_s: dict[str, float] = {}
    for track in (*data.of_kind(CPU), *data.of_kind(COMPLETIONS)):
        last_s[track.target] = max(last_s.get(track.target, 0.0), float(track.times_s[-1]))
    end_s = max(last_s.values(), default=0.0)
    return [last_s[target] for target in sorted(counting) if last_s[target] < end_s]
