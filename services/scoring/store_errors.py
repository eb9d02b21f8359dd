"""What can go wrong with the store, told apart by what helps."""


class StoreError(Exception):
    """Base of the store's errors: the message names the store and what to do."""


class StoreUnavailableError(StoreError):
    """Locked, out of disk, not reachable: nothing was written, and trying the same batch again later may help."""


class StoreDamagedError(StoreError):
    """The file is no usable store; trying again cannot help."""


class SchemaVersionError(StoreError):
    """The store was written by a newer program, or is too old to be read without migrating it."""


class ForeignLogError(StoreError):
    """The store belongs to another log: its offsets and sums say nothing about this one."""
