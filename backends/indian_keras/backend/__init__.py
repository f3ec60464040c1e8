"""The step on Keras's backends: a module each, of which one is imported."""
