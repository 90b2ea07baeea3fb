"""The common words that a term must beat."""
