"""The services of a saga: pure actions, and the one dispatcher that commits what they return."""
