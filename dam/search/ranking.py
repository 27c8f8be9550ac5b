"""Pages of what comes in an order of its own: by likeness, best first."""

from __future__ import annotations

from django.db.models import QuerySet

from dam.assets.models import Asset
from dam.search.paging import Edge, Slice


def ranked_slice(
    rows: QuerySet[Asset], *, ranked: tuple[int, ...], edge: Edge | None, limit: int
) -> Slice[Asset]:
    """Up to ``limit`` of the rows beside the edge, in the order of ``ranked``; their ids alone. One query.

    An edge is the place and the id of an asset. If it has left the ranking, the page begins where
    it was.
    """
    fitting = {asset.pk: asset for asset in rows.filter(pk__any_of=ranked).only("pk")}
    order = [pk for pk in ranked if pk in fitting]
    backwards = edge is not None and edge.backwards
    begin, end = 0, len(order)
    if edge is not None:
        place = order.index(edge.pk) if edge.pk in fitting else min(edge.key or 0, len(order))
        if backwards:
            begin, end = max(0, place - limit), place
        else:
            begin = place + (edge.pk in fitting)
    if not backwards:
        end = min(begin + limit, len(order))
    shown = order[begin:end]
    return Slice(
        rows=[fitting[pk] for pk in shown],
        next=Edge(end - 1, shown[-1]) if shown and end < len(order) else None,
        previous=Edge(begin, shown[0], backwards=True) if shown and begin else None,
    )
