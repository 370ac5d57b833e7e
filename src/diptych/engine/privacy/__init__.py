"""Private training: differentially private gradient descent, and what it promises of a training picture."""
