"""The command around the system: it files applications, verifies what came of them, and runs it all on one machine."""
