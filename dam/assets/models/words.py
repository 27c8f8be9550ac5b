"""The words that occur in the library, for those who mistype one."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models


class LibraryWord(models.Model):
    """A word of a title, a description or a file name, by which a mistyped one is found.

    It may occur in pictures that somebody may not see, so it is used to search and never shown.
    """

    word = models.CharField(max_length=64, primary_key=True)

    class Meta:
        indexes = (GinIndex(fields=["word"], opclasses=["gin_trgm_ops"], name="libraryword_trigrams"),)

    def __str__(self) -> str:
        return self.word
