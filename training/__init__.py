"""How the retriever is made: torch and transformers live here and only here."""
