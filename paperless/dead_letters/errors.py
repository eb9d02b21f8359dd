"""What can be said against the wish of an operator."""


class DeadLetterError(RuntimeError):
    """A dead letter is not there, or cannot be settled so; says which, why, and what to do instead."""
