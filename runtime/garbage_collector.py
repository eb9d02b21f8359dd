"""What the garbage collector does in every process of ours. Standard library only: the peers of a comparison use it."""

import gc


def tune_garbage_collector() -> None:
    """Take everything made so far out of collections, and collect rarely: live objects are few and short-lived."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
