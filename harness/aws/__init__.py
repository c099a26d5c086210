"""The AWS port: the few calls that sagas need, each counted, behind the one factory of clients."""
