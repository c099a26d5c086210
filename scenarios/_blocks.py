"""The load of one block under way, as the process sees it that conducts it: who takes part, and who has drained."""

from __future__ import annotations

from collections.abc import Mapping

from gevent.event import Event

from harness.load.plan import LoadPlan
from scenarios._performer import DrainedMessage

SLACK_S = 20.0
"""For the load processes to tell that they have drained, beyond the time that they may wait for outcomes."""


class BlockLoad:
    """One block's load. A test has one or several, one after the other."""

    def __init__(self, plan: LoadPlan, epoch_ns: int, members: list[str]) -> None:
        self.plan = plan
        self.members = members
        self.epoch_ns = epoch_ns
        self.limit_s = epoch_ns / 1e9 + plan.duration_s + plan.outcome_wait_s + SLACK_S
        self.reports: dict[int, DrainedMessage] = {}
        self.problems: list[str] = []
        self.all_told = Event()

    def report(self, message: DrainedMessage) -> None:
        """A member has drained, or cannot. One that still had an earlier load to drain is not listened to."""
        if message.epoch_ns != self.epoch_ns:
            return
        self.reports.setdefault(message.index, message)
        if message.problem:
            self.problems.append(message.problem)
        if len(self.reports) == len(self.members):
            self.all_told.set()

    def give_up(self, index: int, problem: str) -> None:
        """A member will never say that it has drained."""
        if index not in self.reports:
            self.report(DrainedMessage(self.epoch_ns, index, {}, problem))

    def counts(self) -> Mapping[str, int]:
        """What became of the arrivals, over all members."""
        total: dict[str, int] = {}
        for message in self.reports.values():
            for name, count in message.counts.items():
                total[name] = total.get(name, 0) + count
        return total
