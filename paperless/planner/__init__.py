"""What if over HTTP: a process of its own, so that no service loads arrays; the portal passes on what the page asks."""
