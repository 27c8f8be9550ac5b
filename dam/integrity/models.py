"""The runs that compared database and blob store, and what they found."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from dam.integrity.report import FAULTS, Kind, Outcome, Subject


class IntegrityRun(models.Model):
    """One comparison. Its numbers are those of the report, brought up to date while it runs."""

    begun_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True, help_text="A run is heard of every few seconds.")
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, choices=[(one.value, one.value) for one in Outcome])
    trouble = models.CharField(max_length=500, blank=True, help_text="Why it did not come to its end.")
    command = models.CharField(max_length=200, help_text="What began it, by whom and where.")
    store = models.CharField(max_length=1024)

    checksums = models.CharField(
        max_length=8, help_text="Whose bytes were to be read: all, none, or a share."
    )
    read_from = models.CharField(max_length=64, blank=True, help_text="The originals after this sha256")
    read_until = models.CharField(
        max_length=64, blank=True, help_text="were read up to this one; empty: to the end."
    )

    originals = models.BigIntegerField(default=0, help_text="That were looked for.")
    original_bytes = models.BigIntegerField(default=0)
    renditions = models.BigIntegerField(default=0, help_text="That were looked for.")
    listed = models.BigIntegerField(default=0, help_text="Objects in the store.")
    listed_bytes = models.BigIntegerField(default=0)
    read = models.BigIntegerField(default=0, help_text="Originals whose bytes were read.")
    read_bytes = models.BigIntegerField(default=0)

    damaged = models.BigIntegerField(default=0, help_text="Originals that are missing or mismatched.")
    tallies = models.JSONField(default=list, help_text="Lists of kind, subject, number and bytes.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.begun_at:%Y-%m-%d %H:%M} ({self.outcome})"

    def tally(self, kind: Kind, subject: Subject) -> tuple[int, int]:
        """How many of them were found, and their bytes."""
        for of_kind, of_subject, count, size in self.tallies:
            if (of_kind, of_subject) == (kind, subject):
                return count, size
        return 0, 0


class IntegrityFinding(models.Model):
    """One of the files that a run found not to be as they should; a run keeps so many of each fault."""

    run = models.ForeignKey(IntegrityRun, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Kind])
    subject = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Subject])
    path = models.TextField(help_text="Below the store's place; bytes that are no UTF-8 are escaped.")
    size = models.BigIntegerField(help_text="In bytes; 0 where nobody knows.")
    detail = models.CharField(max_length=500, blank=True)
    assets = models.JSONField(
        default=list, help_text="Lists of id and file name of pictures it is a file of."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.path}"

    @property
    def words(self) -> str:
        """What is wrong, for people."""
        return FAULTS[Kind(self.kind), Subject(self.subject)]
