"""Entries, forms and vectors behind a term index, in memory and on disk."""
