"""Metrics: what every process exports, and how a run samples it."""
