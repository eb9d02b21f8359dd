"""What can go wrong with the store, told apart by what helps."""


class StoreError(Exception):
    """Base of the store's errors: the message names the store, without its password, and what to do."""


class StoreUnavailableError(StoreError):
    """Locked, out of disk, not reachable: trying the same batch again later may help, and never counts it twice."""


class StoreRefusesError(StoreError):
    """The store has no place for a value of this batch, of which nothing is written; the rest of it can be stored."""


class StoreDamagedError(StoreError):
    """No usable store; trying again cannot help."""


class StoreForbiddenError(StoreError):
    """The database's user has not the rights of its role (deploy/postgres/init/10-roles.sql)."""


class StoreBehindError(StoreError):
    """The store was put back while its consumer ran: the records in between are to be read again."""


class SchemaVersionError(StoreError):
    """The store was written by a newer program, or is too old to be used without migrating it."""


class ForeignLogError(StoreError):
    """The store belongs to another log: its offsets and sums say nothing about this one."""
