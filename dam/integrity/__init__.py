"""Whether what the database names lies in the blob store, unharmed, and what lies there besides."""
