"""Asks a shelf for every order, and asks again on silence."""
