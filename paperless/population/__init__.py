"""Who files what, when: the population, its arrivals, and the scenarios that are played. Pure."""
