"""Runs in files: the file, its layouts, and the checks of what resumes it."""
