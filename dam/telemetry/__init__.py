"""What the catalogue's processes say of themselves, and which request they work for."""
