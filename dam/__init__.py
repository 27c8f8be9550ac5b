"""The catalogue: a Django site that knows every picture and what became of it."""
