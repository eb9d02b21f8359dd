"""Load: an open-loop generator, an observer of outcomes and store, and what their times say."""
