"""The injectors, one kind of fault in one file."""
