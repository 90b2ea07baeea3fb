"""Everything needed at serve time: audio in, hints or abstentions out, with no torch anywhere."""
