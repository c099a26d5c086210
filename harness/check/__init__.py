"""A whole CI check in one command: the matrix of ``gates.toml``, this revision and a base in turns, and the gates over it."""
