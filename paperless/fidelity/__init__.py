"""The simulated figures beside the published ones, and the assumed values fitted to them. Pure."""
