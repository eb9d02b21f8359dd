"""What crosses a boundary between services: events, the context, topics, partitioning and draws."""
