"""One module per command: options in, one call, an exit code out."""
