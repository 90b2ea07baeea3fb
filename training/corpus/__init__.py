"""Training rows: reading them, finding terms in them, cutting and checking them."""
