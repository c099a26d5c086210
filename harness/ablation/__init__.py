"""What each mitigation buys: the same seed and storm with everything on, and with something removed at a time."""
