"""Composition root: the command ``termcue``. Nothing imports this package."""
