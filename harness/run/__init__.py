"""A run: its phases, the processes it starts, what it reads while they work."""
