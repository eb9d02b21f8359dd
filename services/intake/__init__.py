"""Intake: decides what an application still needs, asks for data instead of paper, and emits the outcome."""
