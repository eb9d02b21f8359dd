"""The monthly report of a steering committee: one page, for a screen and for paper."""
