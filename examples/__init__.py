"""Services that show how to use the kernel without the rest."""
