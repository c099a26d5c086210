"""What a run remembers, from the moment it happens to the report."""
