"""What the server tells of. Times have a zone; addresses are paths on the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Ref:
    """Something, by id and name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Count:
    """A number of assets; ``estimated``: about so many; neither that nor ``exact``: there are more."""

    value: int
    exact: bool
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class AssetTag:
    """A tag of an asset."""

    slug: str
    name: str
    score: float | None
    source: str
    state: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a search found an asset."""

    kind: str
    text: str
    via: str


@dataclass(frozen=True, slots=True)
class AssetUrls:
    """Where its things are; ``grid`` and ``preview`` are None until a worker has made them."""

    self: str
    file: str
    grid: str | None
    preview: str | None
    page: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A picture. ``etag`` says as what it was read, so that an edit overwrites nobody's; empty in lists."""

    id: int
    filename: str
    title: str
    description: str
    state: str
    reason: str
    detail: str
    width: int
    height: int
    size: int
    media_type: str
    taken_at: datetime | None
    camera: str
    created_at: datetime
    updated_at: datetime
    trashed_at: datetime | None
    collection: Ref
    version: int
    orientation: str
    colours: tuple[str, ...]
    licence: str
    copyright_holder: str
    credit: str
    release_status: str
    expires_on: date | None
    embargo_until: date | None
    mark: str
    uploaded_by: str | None
    sha256: str
    placeholder: str
    urls: AssetUrls
    tags: tuple[AssetTag, ...]
    rejected_tags: tuple[AssetTag, ...]
    matched: tuple[Reason, ...] = ()
    etag: str = ""


@dataclass(frozen=True, slots=True)
class AssetPage:
    """One page of assets; ``next`` and ``previous`` are cursors."""

    results: tuple[Asset, ...]
    next: str | None
    previous: str | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of an upload: a new asset, or the one that holds the same bytes already."""

    asset: Asset
    created: bool


@dataclass(frozen=True, slots=True)
class SimilarAsset:
    """An asset, and how much it looks like the other: the cosine of the embeddings."""

    similarity: float
    asset: Asset


@dataclass(frozen=True, slots=True)
class FacetValue:
    """Something that assets of a search have; ``term`` narrows the search to them."""

    term: str
    label: str
    count: Count
    all_have_it: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow a search."""

    name: str
    label: str
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, slots=True)
class Facets:
    """What a search finds, counted."""

    total: Count
    facets: tuple[Facet, ...]
    estimated: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An asset that was left as it was, and why."""

    id: int
    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of many."""

    changed: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file of an asset's history."""

    number: int
    filename: str
    size: int
    media_type: str
    sha256: str
    created_at: datetime
    created_by: str | None
    current: bool


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Who did what."""

    id: int
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: int
    object_name: str
    changes: dict[str, Any]
    address: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A place in the tree, as you see it; ``count`` and ``total`` only in the list of all."""

    id: int
    name: str
    description: str
    default_licence: str
    parent: int | None
    depth: int
    level: str
    cover: int | None
    count: Count | None = None
    total: Count | None = None
    path: tuple[Ref, ...] = ()
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do in a collection and below: a user, a group, or, with neither, everybody."""

    id: int
    user: str | None
    group: str | None
    level: str
    inherited: bool
    collection: Ref | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Album:
    """Pictures that belong together."""

    id: int
    name: str
    description: str
    owner: str | None
    mine: bool
    cover: int | None
    created_at: datetime
    updated_at: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search under a name."""

    id: int
    name: str
    query: str
    sort: str
    shared: bool
    owner: str
    mine: bool
    updated_at: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A link for people without an account."""

    id: int
    url: str
    kind: str
    title: str
    message: str
    has_password: bool
    may_download: bool
    fields: tuple[str, ...]
    expires_at: datetime | None
    state: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    uses: int
    collection: Ref | None = None
    album: Ref | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two assets that look the same."""

    id: int
    distance: int
    same_bytes: bool
    may_decide: bool
    first: Asset
    second: Asset


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry of the vocabulary."""

    slug: str
    name: str
    kind: str
    synonyms: tuple[str, ...]
    parents: tuple[str, ...]
    matched: str = ""
    count: Count | None = None


@dataclass(frozen=True, slots=True)
class Me:
    """Your account, and what you may do somewhere."""

    id: int
    username: str
    name: str
    is_staff: bool
    is_superuser: bool
    groups: tuple[str, ...] = ()
    may: dict[str, bool] = field(default_factory=dict)
