"""Numbered SQL files, applied in order, each in one transaction; a file that was released is never edited."""
