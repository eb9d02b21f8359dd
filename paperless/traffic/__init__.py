"""Sending applications into a running system: the driver and its manifest; `load` measures."""
