"""What the sagas and the measurements rely on, as AWS documents it, held against every backend that can be started.

One test is one behaviour and names its page of AWS's documentation. The expectation is never weakened to suit an
emulator: where one deviates, that stands in ``harness/backends/deviations.py``, and the test must fail.
"""
