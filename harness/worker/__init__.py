"""The worker process: participants behind queues."""
