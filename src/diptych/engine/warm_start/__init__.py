"""Runs that begin with the weights of a finished model: to train that model further, or to train another one."""
