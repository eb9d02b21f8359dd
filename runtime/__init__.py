"""What every service process needs and nothing of the domain: broker options, the kernel, logs, metrics, health."""
