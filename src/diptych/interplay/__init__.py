"""The hinge: each panel checks and feeds the other."""
