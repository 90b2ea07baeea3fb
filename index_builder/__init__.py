"""A glossary file becomes an index folder that a stream can search."""
