"""Sets what nobody chose by what the backend carries, so that a run on a slow one measures sagas and not its queue."""

from __future__ import annotations

import math

import msgspec

from harness.core.errors import EnvironmentFailure
from harness.history.run_file import Instrument
from harness.settings import RunSettings

SHARE = 0.5
"""Of the capacity read. The default storm's surge makes it three quarters, which is about where sagas begin to wait for the
backend. Measured without a storm, p50 by the share of the capacity: LocalStack 4.14 orchestrated 0.7 s at 0.45, 1.7 s at
0.96, 2.9 s at 1.0, 22 s at 1.3; choreographed 0.2 s at 0.45, 0.6 s at 0.84; the embedded emulator, orchestrated, 0.03 s at a
quarter, 0.2 s at 0.67, 5 s at 1.2."""
LADDER_PER_S = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0)
"""Rates that are chosen from, always downwards: two readings of one backend differ by a tenth, and their runs should be
comparable all the same. The highest is the embedded emulator's."""
ARRIVALS = 300
"""What a load should at least have. The rarest fault of the default storm meets 60 % of them with a probability of 4 %:
seven strikes are expected, and none at all in one of a thousand runs. A backend that carries so little that the longest
load has fewer needs more blocks (ABBA: two of each topology) for the same."""
LONGEST_S = 120.0
"""Of a load that nobody chose: four blocks of it are ten minutes, which is as long as one waits for an answer."""


def calibrated(settings: RunSettings, instrument: Instrument) -> RunSettings:
    """The settings with all of ``scaled`` set, and nothing left in it.

    Raises ``EnvironmentFailure`` where the backend carries too little for any load that would tell something.
    """
    rate_per_s, duration_s = settings.rate_per_s, settings.duration_s
    if "rate_per_s" in settings.scaled:
        rate_per_s = _rate_per_s(settings, instrument)
    if "duration_s" in settings.scaled:
        duration_s = max(duration_s, min(LONGEST_S, math.ceil(ARRIVALS / rate_per_s)))
    return msgspec.structs.replace(settings, rate_per_s=rate_per_s, duration_s=duration_s, scaled=())


def _rate_per_s(settings: RunSettings, instrument: Instrument) -> float:
    """The same for all topologies of the run: what the slowest of them can take."""
    capacities = [instrument.capacity_of(topology) or 0.0 for topology in settings.topologies]
    room_per_s = SHARE * min(capacities)
    fitting = [rate for rate in LADDER_PER_S if rate <= room_per_s]
    if not fitting:
        raise EnvironmentFailure(
            f"the backend carries {min(capacities):.1f} sagas/s, half of which is less than {LADDER_PER_S[0]:g}/s: too slow "
            "for a load that would tell anything. Give it more of a machine, or choose a --rate yourself"
        )
    return fitting[-1]
