"""The step of a parameter group: which implementation makes it, and the three of them."""
