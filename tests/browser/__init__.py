"""The page as people have it: a real system, the distribution's Chromium, no other host."""
