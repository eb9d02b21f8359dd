"""The stand-in for VNeID and the national databases behind it."""
