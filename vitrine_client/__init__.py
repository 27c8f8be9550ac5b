"""A client of Vitrine's REST API."""
