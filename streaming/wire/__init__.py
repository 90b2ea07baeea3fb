"""The messages of the protocol, and the pages that are generated from them."""
