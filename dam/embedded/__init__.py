"""The embedded system: PostgreSQL and the production processes under one small supervisor."""
