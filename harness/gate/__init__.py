"""Resilience gates: what a team asks of its sagas, judged on saved runs. Reads no emulator and starts nothing."""
