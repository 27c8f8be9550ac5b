"""The way in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from vitrine_client.assets import Assets, json_values
from vitrine_client.organising import Albums, Collections, Duplicates, Searches, Shares, Trash
from vitrine_client.reading import read
from vitrine_client.records import Asset, HistoryEntry, Me, Tag
from vitrine_client.transport import Transport, json_of


class Client:
    """A Vitrine server, as one account sees it. Use one per thread.

    ::

        with Client("https://pictures.example.org", token) as vitrine:
            for asset in vitrine.assets.search("tag:dog -cat uploaded:<7d"):
                print(asset.filename, [tag.name for tag in asset.tags])
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60, retries: int = 3) -> None:
        """Nothing is asked of the server yet.

        Args:
            url: of the server.
            token: as ``vitrine create_token`` prints it.
            timeout: seconds within which an answer has to begin or go on.
            retries: how often a question that changes nothing is asked again while the server is not there.

        Raises:
            ValueError: that is no address of a server.
        """
        self._transport = Transport(url, token, timeout=timeout, retries=retries)
        self.assets = Assets(self._transport)
        self.collections = Collections(self._transport)
        self.albums = Albums(self._transport)
        self.searches = Searches(self._transport)
        self.shares = Shares(self._transport)
        self.trash = Trash(self._transport)
        self.duplicates = Duplicates(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def me(self) -> Me:
        """Whose token it is, and what they may do."""
        return self._transport.get(Me, "me/")

    def licences(self) -> dict[str, str]:
        """The licences that are offered: identifier → name."""
        body = json_of(self._transport.send("GET", "licences/"))
        return {one["id"]: one["name"] for one in body["results"]}

    def tags(self, text: str = "") -> Iterator[Tag]:
        """The best completions of a text, or, without one, all tags by name."""
        if not text:
            yield from self._transport.each(Tag, "tags/", limit=200)
            return
        body = json_of(self._transport.send("GET", "tags/", params={"q": text}))
        for one in body["results"]:
            yield read(Tag, one)

    def expiring(self, *, within_days: int = 30, expired: bool = True) -> Iterator[Asset]:
        """What expires soon where you curate, the soonest first."""
        asked = {"within_days": within_days, "expired": str(expired).lower()}
        return self._transport.each(Asset, "rights/expiring/", **asked)

    def history(self, **filters: Any) -> Iterator[HistoryEntry]:
        """Who did what, the newest first.

        Filters: ``actor``, ``action``, ``object_type``, ``object_id``, ``collection``, ``since``, ``until``.
        """
        return self._transport.each(HistoryEntry, "history/", **json_values(filters))
