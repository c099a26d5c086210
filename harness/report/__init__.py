"""A saved run, summed up, compared and shown."""
