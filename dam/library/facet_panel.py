"""The panel in which a search is narrowed: what its pictures have, each with the search that asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.library.chips import chips_of, search_address
from dam.library.policy import member, member_page
from dam.library.wall import asked
from dam.search.facets import Facet, FacetValue, facets_of
from dam.search.language import SearchError
from dam.search.terms import term_add, term_remove, terms_of

# As many as one sees at a glance; the others unfold.
_SHOWN = 8
# Those that are open before somebody opened or closed one.
_OPEN = {"tag", "type", "orientation", "colour"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value, how many pictures have it, and the searches that include or exclude it."""

    label: str
    count: str
    selected: bool
    include: str
    """Query string of the search with it; of that without the term, where it is in the search already."""
    exclude: str
    """The same without it; empty, where every picture has it."""
    swatch: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The values of one facet."""

    name: str
    label: str
    shown: list[Choice]
    folded: list[Choice]
    open: bool


@require_safe
@member_page
def facets(request: HttpRequest) -> HttpResponse:
    """The panel for a search; ``fragment`` asks for its inside alone."""
    query, sort = asked(request)
    try:
        found = facets_of(user=member(request), query=query)
        sections = sections_of(found.facets, query=query, sort=sort)
        chips = chips_of(query, sort=sort)
    except SearchError as error:
        return render(request, "library/parts/facets_error.html", {"error": error}, status=400)
    context = {
        "section": "library",
        "query": query,
        "sort": sort,
        "sections": sections,
        "chips": chips,
        "total": found.total,
        "estimated": found.estimated,
        "library": reverse("library"),
        "back": reverse("library") + search_address(query=query, sort=sort),
        "clear": reverse("library") + search_address(sort=sort),
    }
    template = "library/parts/facets.html" if "fragment" in request.GET else "library/facets.html"
    return render(request, template, context)


def sections_of(found: Iterable[Facet], *, query: str, sort: str) -> list[Section]:
    """The facets that have a value to choose, with the addresses that choosing leads to."""
    chosen = {term.text.casefold() for term in terms_of(query) if not term.negated}

    def address(changed: str) -> str:
        return reverse("library") + search_address(query=changed, sort=sort)

    def choice(facet: Facet, value: FacetValue) -> Choice:
        selected = any(term.text.casefold() in chosen for term in terms_of(value.term))
        changed = term_remove(query, value.term) if selected else term_add(query, value.term)
        without = term_add(query, value.term, negated=True)
        return Choice(
            label=value.label,
            count=str(value.count),
            selected=selected,
            include=address(changed),
            exclude="" if value.all_have_it and not selected else address(without),
            swatch=value.label if facet.name == "colour" else "",
        )

    sections = []
    for facet in found:
        choices = [choice(facet, value) for value in facet.values]
        choices.sort(key=lambda each: not each.selected)  # stable: the largest first within
        if choices:
            sections.append(
                Section(
                    name=facet.name,
                    label=facet.label,
                    shown=choices[:_SHOWN],
                    folded=choices[_SHOWN:],
                    open=facet.name in _OPEN or any(each.selected for each in choices),
                )
            )
    return sections
