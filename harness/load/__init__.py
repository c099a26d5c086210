"""The load as data: when arrivals are due and what they ask for."""
