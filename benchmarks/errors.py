"""What ends a measurement and is no bug."""


class VariantError(RuntimeError):
    """A variant did not end well, or not with a copy of the log; the message has its last words."""


class NotAvailableError(VariantError):
    """This machine has not what a variant is run or built with, and it could not be fetched; says what is missing."""
