"""Looks for sagas that nobody brings to an end any more, and asks for them again."""
