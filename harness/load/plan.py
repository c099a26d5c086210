"""What the load generator is told: one small JSON file, written by the harness, read by Locust.

It holds no secret: the key that signs identities is in the environment (``SAGASTORM_JWT_KEY``) and nowhere else.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from harness.core.errors import Problem, UsageError

Surge = tuple[float, float, float]
"""(start_s, end_s, factor): while it lasts the arrival rate is multiplied by the factor."""

Refusals = tuple[float, float, float, float]
"""(start_s, end_s, cannot_pay_share, out_of_stock_share): what at least the shares of arrivals due in that time are."""

SHAPES = ("poisson", "even")

LOAD_SPOOLS = "load-*.jsonl"
"""In a plan's spool folder: what the load processes recorded."""

EPOCH_FILE = "epoch.json"
"""In a plan's spool folder, where the plan names no epoch: when the load generator will start, ``{"epoch_ns": ...}``."""


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The load of one block. Raises :class:`~harness.core.errors.UsageError` where the values make no load."""

    saga: str
    topology: str
    ingress_url: str
    """``http://host:port``, where ``/sagas/<saga>`` takes orders."""
    audience: str
    """Who the signed identities are for (``aud``): the block's namespace."""
    seed: int
    round: int = 0
    rate_per_s: float
    shape: str = "poisson"
    duration_s: float
    surges: tuple[Surge, ...] = ()
    refusals: tuple[Refusals, ...] = ()
    cannot_pay_share: float = 0.05
    out_of_stock_share: float = 0.05
    epoch_ns: int | None = None
    """Monotonic time at which the load starts; none: the load generator says when, in :data:`EPOCH_FILE`."""
    spool_dir: str
    targets_dir: str
    outcome_wait_s: float = 60.0
    """How long after the end of the arrivals a client goes on asking, before it leaves its saga unresolved."""
    max_in_flight: int = 2000
    """Sagas under way in each load process; an arrival beyond it is dropped, and counted."""

    def __post_init__(self) -> None:
        problems = _problems(self)
        if problems:
            raise UsageError(problems)


def write_plan(path: Path, plan: LoadPlan) -> None:
    """Write the file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    part.replace(path)


def read_plan(path: Path) -> LoadPlan:
    """Read the file; :class:`~harness.core.errors.UsageError` says what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError([Problem("plan", str(path), f"it cannot be read: {error.strerror}")]) from None
    return decode_plan(content, str(path))


def decode_plan(content: bytes | str, source: str = "plan") -> LoadPlan:
    """The plan in ``content``; ``source`` is what an error calls it."""
    try:
        return msgspec.json.decode(content, type=LoadPlan)
    except msgspec.DecodeError as error:
        # Of the form only: what __post_init__ finds wrong with the values passes through as it is.
        raise UsageError([Problem("plan", source, f"it is not a load plan: {error}")]) from None


def write_epoch(plan: LoadPlan, epoch_ns: int) -> None:
    """Say when the load will start, to whoever left that to the load generator."""
    folder = Path(plan.spool_dir)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{EPOCH_FILE}.part"
    part.write_bytes(msgspec.json.encode({"epoch_ns": epoch_ns}))
    part.replace(folder / EPOCH_FILE)


def refuse_second_load(plan: LoadPlan) -> None:
    """Raises :class:`~harness.core.errors.UsageError` where a load has begun on this plan already.

    A second one would send the Idempotency-Keys of the first, and be answered, quickly, from sagas that have ended.
    """
    folder = Path(plan.spool_dir)
    if (folder / EPOCH_FILE).exists() or any(folder.glob(LOAD_SPOOLS)):
        raise UsageError(
            [
                Problem(
                    "spool_dir",
                    plan.spool_dir,
                    "a plan serves one load, and a load has begun on this one: for another test start `sagastorm up` "
                    "again, or leave --sagastorm-plan out, and each test gets a system of its own",
                )
            ]
        )


def _problems(plan: LoadPlan) -> list[Problem]:
    problems: list[Problem] = []

    def check(valid: bool, field: str, what: str) -> None:
        if not valid:
            problems.append(Problem(field, getattr(plan, field), what))

    check(_is_http(plan.ingress_url), "ingress_url", "an http:// URL with a host")
    check(bool(plan.saga), "saga", "the name of a saga")
    check(bool(plan.topology), "topology", "the name of a topology")
    # It goes into a header of every request.
    check(re.fullmatch(r"[\x21-\x7e]+", plan.audience) is not None, "audience", "the name of the block's namespace")
    check(isfinite(plan.rate_per_s) and plan.rate_per_s > 0, "rate_per_s", "a number above 0")
    check(isfinite(plan.duration_s) and plan.duration_s > 0, "duration_s", "seconds above 0")
    check(isfinite(plan.outcome_wait_s) and plan.outcome_wait_s >= 0, "outcome_wait_s", "seconds, 0 or more")
    check(plan.shape in SHAPES, "shape", f"one of: {', '.join(SHAPES)}")
    check(plan.max_in_flight >= 1, "max_in_flight", "1 or more")
    check(plan.round >= 0, "round", "0 or more")
    check(0 <= plan.cannot_pay_share <= 1, "cannot_pay_share", "a share between 0 and 1")
    check(0 <= plan.out_of_stock_share <= 1, "out_of_stock_share", "a share between 0 and 1")
    check(
        all(0 <= start_s < end_s and isfinite(factor) and factor >= 0 for start_s, end_s, factor in plan.surges),
        "surges",
        "each (start_s, end_s, factor) with 0 <= start_s < end_s and a factor of 0 or more",
    )
    check(
        all(
            0 <= start_s < end_s and all(0 <= share <= 1 for share in shares)
            for start_s, end_s, *shares in plan.refusals
        ),
        "refusals",
        "each (start_s, end_s, cannot_pay_share, out_of_stock_share) with 0 <= start_s < end_s and shares from 0 to 1",
    )
    return problems


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
