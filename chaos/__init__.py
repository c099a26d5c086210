"""Trouble on purpose: storms say when, where and how often; injectors say how; the engine decides and records."""
