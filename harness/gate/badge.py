"""A badge: as data for shields.io's endpoint, and as a picture that needs no service.

https://shields.io/badges/endpoint-badge
"""

from __future__ import annotations

import msgspec

from harness.core.verdict import RunVerdict
from harness.gate.model import GateReport

LABEL = "saga gates"
COLORS = {
    RunVerdict.PASS: ("brightgreen", "#287d3c"),
    RunVerdict.FAIL: ("red", "#b42318"),
    RunVerdict.INCONCLUSIVE: ("lightgrey", "#5f6368"),
}
"""Shields' name, and one for white text at a contrast of 4.5 or more."""
_CHARACTER_PX = 7
_PADDING_PX = 12


def badge_json(report: GateReport) -> bytes:
    """For ``https://img.shields.io/endpoint?url=…``."""
    color, _ = COLORS[report.verdict]
    badge = {"schemaVersion": 1, "label": LABEL, "message": report.verdict.value, "color": color}
    return msgspec.json.format(msgspec.json.encode(badge), indent=2) + b"\n"


def badge_svg(report: GateReport) -> str:
    """The same as a picture."""
    message = report.verdict.value
    left, right = (_CHARACTER_PX * len(text) + _PADDING_PX for text in (LABEL, message))
    _, color = COLORS[report.verdict]
    text = 'y="14" fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{LABEL}: {message}"><title>{LABEL}: {message}</title>'
        f'<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="{color}"/>'
        f'<text x="{left / 2:g}" {text}>{LABEL}</text><text x="{left + right / 2:g}" {text}>{message}</text></svg>\n'
    )
