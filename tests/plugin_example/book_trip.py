"""``book-trip``: a saga that another package brings, in one file. A seat is held, paid for, and ticketed.

Installed, its ``pyproject.toml`` would say::

    [project.entry-points."sagastorm.sagas"]
    book-trip = "book_trip:SAGA"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from harness.core.local_transaction import Add, Change, Insert, LocalTransaction
from harness.core.saga import Command, Compensation, Ending, Saga, Step, StepKind, WorkloadPlan
from harness.core.seeded import uniform

TRAVELLERS = 100
FARE_CENTS = 4_200


class BookTrip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants a seat on which train."""

    traveller: str
    train: str


def hold(command: Command) -> LocalTransaction:
    """Hold one seat; refused on a full train."""
    trip = command.request
    return LocalTransaction(
        (
            Add("trains", trip.train, "seats", -1, at_least=1, refusal="train-full"),
            Insert("bookings", command.saga_id, {"train": trip.train, "status": "HELD"}),
        )
    )


def let_go(command: Command) -> LocalTransaction:
    """Undo of :func:`hold`."""
    return LocalTransaction(
        (
            Add("trains", command.request.train, "seats", 1),
            Change("bookings", command.saga_id, set={"status": "LET-GO"}, expect={"status": "HELD"}),
        )
    )


def pay(command: Command) -> LocalTransaction:
    """Take the fare; refused where the purse holds less."""
    purse = command.request.traveller
    return LocalTransaction(
        (Add("purses", purse, "cents", -FARE_CENTS, at_least=FARE_CENTS, refusal="insufficient-funds"),)
    )


def pay_back(command: Command) -> LocalTransaction:
    """Undo of :func:`pay`."""
    return LocalTransaction((Add("purses", command.request.traveller, "cents", FARE_CENTS),))


def ticket(command: Command) -> LocalTransaction:
    """The seat is the traveller's."""
    return LocalTransaction(
        (Change("bookings", command.saga_id, set={"status": "TICKETED"}, expect={"status": "HELD"}),)
    )


class TripWorkload:
    """One traveller in ten has an empty purse; one train in eight has no seats."""

    def __init__(self, plan: WorkloadPlan) -> None:
        self._seed = plan.seed

    def request(self, arrival: int) -> BookTrip:
        """Who travels, and on which train."""
        train = int(8 * uniform(self._seed, "train", arrival))
        return BookTrip(traveller=self.subject(arrival), train=f"train-{train}")

    def subject(self, arrival: int) -> str:
        """The traveller."""
        return f"traveller-{int(TRAVELLERS * uniform(self._seed, 'traveller', arrival))}"

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        """Seats and purses."""
        for number in range(8):
            yield "rail", "trains", {"id": f"train-{number}", "seats": 0 if number == 0 else 1_000_000}
        for number in range(TRAVELLERS):
            yield "bank", "purses", {"id": f"traveller-{number}", "cents": 0 if number % 10 == 0 else 10**12}


SAGA = Saga(
    name="book-trip",
    requested="TripRequested",
    steps=(
        Step(
            "hold",
            "rail",
            StepKind.COMPENSATABLE,
            hold,
            succeeded="SeatHeld",
            refused="TrainFull",
            compensation=Compensation("let-go", "SeatLetGo", let_go),
        ),
        Step(
            "pay",
            "bank",
            StepKind.PIVOT,
            pay,
            succeeded="FarePaid",
            refused="FareRefused",
            compensation=Compensation("pay-back", "FarePaidBack", pay_back),
        ),
        Step("ticket", "rail", StepKind.RETRIABLE, ticket, succeeded="TripTicketed"),
    ),
    after_compensation=(),
    tables={"rail": ("trains", "bookings"), "bank": ("purses",)},
    request=BookTrip,
    workload=TripWorkload,
    endings=(Ending("rail", "bookings", "status", completed="TICKETED", compensated="LET-GO"),),
    owner=lambda trip: str(trip.traveller),
)
