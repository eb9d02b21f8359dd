"""The store: tables, statements, the two engines, migration and retention."""
