"""Labelled pictures: where they come from, what is known of each, and how they are split."""
