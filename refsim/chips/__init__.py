"""Boards by chip family, one a file, with a source for each number."""
