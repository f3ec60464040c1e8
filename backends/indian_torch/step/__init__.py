"""The step of a parameter group: the choice of an implementation, and the three of them."""
