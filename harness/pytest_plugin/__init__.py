"""The pytest plugin: a saga under a storm as a test beside others. Empty, as every pytest imports it."""
