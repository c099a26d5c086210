"""The sagas that ship with sagastorm, one file each; others come through the entry point ``sagastorm.sagas``."""
