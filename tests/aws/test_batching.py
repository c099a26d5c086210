"""Entries that travel together: when they leave, and that each hears of its own fate."""

from __future__ import annotations

import asyncio

import pytest

from harness.aws.batching import BATCH, Batcher
from harness.core.errors import Indefinite
from harness.core.subject import SUBJECTS, Subject

FOR_EVER_S = 3600.0
AT_ONCE_S = 0.0


class Flushes:
    """What was flushed, and what comes of it."""

    def __init__(self, results: dict[int, BaseException] | BaseException | None = None) -> None:
        self.batches: list[list[int]] = []
        self.subjects: list[tuple[Subject, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._results = results or {}

    async def __call__(self, entries: list[int]) -> list[BaseException | None]:
        self.batches.append(entries)
        self.subjects.append(SUBJECTS.get())
        await self.gate.wait()
        if isinstance(self._results, BaseException):
            raise self._results
        return [self._results.get(entry) for entry in entries]


def adding(batcher: Batcher[int], entries: range) -> list[asyncio.Future[None]]:
    return [batcher.add(entry) for entry in entries]


async def turn() -> None:
    """Let everything run that can run now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_full_batch_leaves_at_once() -> None:
    flush = Flushes()
    batcher = Batcher(flush, FOR_EVER_S)
    async with asyncio.timeout(5):
        await asyncio.gather(*adding(batcher, range(BATCH)))
    assert flush.batches == [list(range(BATCH))]


async def test_entries_beyond_a_full_batch_wait_for_the_next() -> None:
    flush = Flushes()
    batcher = Batcher(flush, FOR_EVER_S)
    added = adding(batcher, range(2 * BATCH + 3))
    await turn()
    assert [len(batch) for batch in flush.batches] == [BATCH, BATCH]
    assert [task.done() for task in added] == [True] * 2 * BATCH + [False] * 3
    await batcher.close()
    assert flush.batches[-1] == [20, 21, 22]
    await asyncio.gather(*added)


async def test_fewer_entries_leave_together_when_the_first_has_lingered() -> None:
    flush = Flushes()
    batcher = Batcher(flush, AT_ONCE_S)
    await asyncio.gather(*adding(batcher, range(3)))
    assert flush.batches == [[0, 1, 2]]


async def test_every_batch_lingers_anew() -> None:
    flush = Flushes()
    batcher = Batcher(flush, AT_ONCE_S)
    await batcher.add(0)
    await batcher.add(1)
    assert flush.batches == [[0], [1]]


async def test_entry_that_fails_fails_alone() -> None:
    batcher = Batcher(Flushes({1: Indefinite("lost")}), AT_ONCE_S)
    results = await asyncio.gather(*adding(batcher, range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Indefinite, type(None)]


async def test_flush_that_raises_fails_the_whole_batch() -> None:
    batcher = Batcher(Flushes(Indefinite("no answer")), AT_ONCE_S)
    results = await asyncio.gather(*adding(batcher, range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["no answer"] * 3


async def test_flush_that_does_not_speak_of_every_entry_fails_the_whole_batch() -> None:
    async def one_answer(entries: list[int]) -> list[BaseException | None]:
        return [None]

    batcher = Batcher(one_answer, AT_ONCE_S)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*adding(batcher, range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Indefinite] * 3


async def test_caller_who_gives_up_does_not_disturb_the_others() -> None:
    flush = Flushes()
    flush.gate.clear()
    batcher = Batcher(flush, AT_ONCE_S)
    impatient, patient = adding(batcher, range(2))
    while not flush.batches:
        await asyncio.sleep(0)
    impatient.cancel()
    flush.gate.set()
    await patient
    assert impatient.cancelled()


async def test_close_sends_what_waits_and_returns_when_all_is_answered() -> None:
    flush = Flushes()
    flush.gate.clear()
    batcher = Batcher(flush, FOR_EVER_S)
    [added] = adding(batcher, range(1))
    await turn()
    closing = asyncio.create_task(batcher.close())
    await turn()
    assert flush.batches == [[0]]
    assert not closing.done()
    flush.gate.set()
    await closing
    await added


async def test_close_of_an_empty_batcher_sends_nothing() -> None:
    flush = Flushes()
    await Batcher(flush, FOR_EVER_S).close()
    assert flush.batches == []


@pytest.mark.parametrize("entries", [3, BATCH])
async def test_batch_is_sent_on_behalf_of_everyone_in_it(entries: int) -> None:
    flush = Flushes()
    batcher = Batcher(flush, AT_ONCE_S)
    subjects = [Subject(f"saga-{number}", number, 0.0, "payment", "charge", "0.1") for number in range(entries)]

    async def add(number: int) -> None:
        SUBJECTS.set((subjects[number],))
        await batcher.add(number)
        assert SUBJECTS.get() == (subjects[number],), "the caller speaks for itself again"

    await asyncio.gather(*(add(number) for number in range(entries)))
    assert flush.subjects == [tuple(subjects)]
