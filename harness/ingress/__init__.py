"""The HTTP front door of a saga."""
