"""Locust scenarios, found by file name: a scenario is a small file, and the files that begin with ``_`` are its engine.

The only place that imports Locust, and gevent with it; nothing imports this package.
"""
