"""From outcome records to cells: one outcome per application counts, whatever order they come in. Pure."""
