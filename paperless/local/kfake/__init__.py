"""The embedded broker kfake: its program in Go, and what builds it."""
