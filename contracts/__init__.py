"""What crosses a boundary between services: events, how they become records, topics, roles and draws."""
