"""From cells to rates and to why not end to end. Pure."""
