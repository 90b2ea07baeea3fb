"""The recipe of the bundled compact retriever: ``python -m training.compact STAGE …``."""
