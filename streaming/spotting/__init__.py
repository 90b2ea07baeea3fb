"""Which forms of a glossary fit the frames, and what speaks for each."""
