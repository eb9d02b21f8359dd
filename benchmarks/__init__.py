"""Measured performance: counts are gated, times are reported."""
