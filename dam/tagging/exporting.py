"""What people decided, as files to train a model with: one line of JSON for each asset, and the pictures.

Three things are kept apart: what people accepted, what they rejected, and what a model suggested and nobody
decided on. The last is no answer, and whoever trains must not take it for one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from dam.assets.models import Asset, Collection
from dam.assets.storage import blob_store
from dam.tagging.models import Claim, Decision, ModelVersion, Tag
from pipeline.ports import BlobMissingError
from pipeline.preprocess import PictureFormat

FILE = "decisions.jsonl"
PICTURES = "pictures"

_FORMAT = 1
_AT_ONCE = 500
_EXTENSIONS = {each.media_type: each.extension for each in PictureFormat}


@dataclass(slots=True)
class Export:
    """What was written."""

    assets: int = 0
    decided: int = 0
    """Assets with a decision."""
    copied: int = 0
    """Pictures that were not there before."""
    missing: list[int] = field(default_factory=list)
    """Assets left out, because the blob store has not their bytes."""


@dataclass(slots=True)
class _Line:
    """One asset, as it stands in the file."""

    asset: int
    sha256: str
    file: str
    """Of its picture, below ``pictures/``; only there if somebody decided."""
    accepted: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def is_decided(self) -> bool:
        return bool(self.accepted or self.rejected)


def assets_to_export(
    *, collection: Collection | None = None, since: datetime | None = None
) -> QuerySet[Asset]:
    """Assets on which somebody decided or is asked to, whoever may see them: this is an administrator's.

    Args:
        collection: Only what is in it and below it.
        since: Only those on which somebody decided at that time or later.
    """
    decisions = Decision.objects.filter(asset=OuterRef("pk"))
    if since is not None:
        found = Asset.objects.filter(Exists(decisions.filter(decided_at__gte=since)))
    else:
        suggested = Claim.objects.filter(asset=OuterRef("pk"), state=Claim.State.SUGGESTED)
        found = Asset.objects.filter(Exists(decisions) | Exists(suggested))
    if collection is not None:
        found = found.filter(collection__in=Collection.objects.get_tree(collection))
    return found.filter(current_version__isnull=False)


def claims_export(
    *,
    assets: QuerySet[Asset],
    to: Path,
    copy_pictures: bool,
    advance: Callable[[int], None] = lambda _done: None,
) -> Export:
    """Write ``decisions.jsonl`` and, of assets with a decision, ``pictures/<sha256>.<extension>``.

    The list appears when it is complete, and so does each picture; a list from before is replaced, pictures
    that are there already stay. Decisions that are made meanwhile are not part of it.

    Args:
        assets: See :func:`assets_to_export`.
        to: Folder; made if it is not there.
        copy_pictures: Whether the pictures are written too.
        advance: Gets how many assets are done, now and then.

    Raises:
        OSError: the folder cannot be written.
        DependencyDownError: the blob store does not answer.
    """
    as_of = timezone.now()
    tags = {tag.pk: tag for tag in Tag.objects.only("slug", "name")}
    done, looked_at = Export(), 0
    (to / PICTURES if copy_pictures else to).mkdir(parents=True, exist_ok=True)
    with _complete(to / FILE) as file:
        file.write(_as_json(_header(tags, as_of)))
        for batch in _batches(assets):
            for asset, line in zip(batch, _lines(batch, tags, as_of), strict=True):
                if copy_pictures and line.is_decided and not _copy(asset, to / PICTURES / line.file, done):
                    done.missing.append(asset.pk)
                    continue
                file.write(_as_json(asdict(line)))
                done.assets += 1
                done.decided += line.is_decided
            looked_at += len(batch)
            advance(looked_at)
    return done


def _header(tags: Mapping[int, Tag], as_of: datetime) -> dict[str, Any]:
    """Says what the file is, of when, and what the words in it mean. ``model``: the newest that answered."""
    model = ModelVersion.objects.order_by("-created_at", "-pk").first()
    return {
        "vitrine": "decisions",
        "format": _FORMAT,
        "exported_at": as_of.isoformat(timespec="seconds"),
        "model": model
        and {"name": model.name, "version": model.version, "vocabulary_id": model.vocabulary_id},
        "tags": {tag.slug: tag.name for tag in tags.values()},
    }


def _batches(assets: QuerySet[Asset]) -> Iterator[list[Asset]]:
    """All of them in the order of their ids, a few hundred at once, whatever is added meanwhile."""
    rows = assets.order_by("pk").select_related("current_version__blob").only("current_version__blob")
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:_AT_ONCE]):
        yield batch
        last = batch[-1].pk


def _lines(assets: Sequence[Asset], tags: Mapping[int, Tag], as_of: datetime) -> list[_Line]:
    lines: dict[int, _Line] = {}
    for asset in assets:
        assert asset.current_version is not None
        blob = asset.current_version.blob
        lines[asset.pk] = _Line(asset.pk, blob.sha256, blob.sha256 + _EXTENSIONS.get(blob.media_type, ""))
    decided = set()
    decisions = Decision.objects.filter(asset__in=lines, decided_at__lte=as_of).order_by("tag__slug")
    for asset_id, tag_id, verdict in decisions.values_list("asset_id", "tag_id", "verdict"):
        decided.add((asset_id, tag_id))
        line = lines[asset_id]
        said = line.rejected if verdict == Decision.Verdict.REJECTED else line.accepted
        said.append(tags[tag_id].slug)
    suggested = Claim.objects.filter(asset__in=lines, state=Claim.State.SUGGESTED).order_by("tag__slug")
    for asset_id, tag_id in suggested.values_list("asset_id", "tag_id"):
        # A tag may be younger than the list of tags, and so may a decision be than its claim.
        if tag_id in tags and (asset_id, tag_id) not in decided:
            lines[asset_id].unknown.append(tags[tag_id].slug)
    return list(lines.values())


def _copy(asset: Asset, to: Path, done: Export) -> bool:
    """Whether the picture is there now. Its name is its hash, so one that is there is the right one."""
    if to.exists():
        return True
    assert asset.current_version is not None
    try:
        source = blob_store().open(asset.current_version.blob.key)
    except BlobMissingError:
        return False
    with source, _complete(to) as file:
        shutil.copyfileobj(source, file, 1 << 20)
    done.copied += 1
    return True


@contextmanager
def _complete(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends well, and not at all otherwise."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _as_json(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
