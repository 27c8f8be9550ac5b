"""Pictures of the library that look like one that somebody showed and that was not kept."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dam.jobs.models import TaggingJob
from dam.library.policy import member, member_page
from dam.library.wall import PAGE_SIZE, with_reasons
from dam.search.example import ExampleFailedError, ExampleOpenError, similar_to_try
from dam.search.selectors import assets_by_id


@require_safe
@member_page
def example(request: HttpRequest, job_id: int) -> HttpResponse:
    """The most similar pictures, best first, for an example that was tried lately."""
    user = member(request)
    try:
        found = similar_to_try(user=user, job_id=job_id, limit=2 * PAGE_SIZE)
    except (TaggingJob.DoesNotExist, ExampleOpenError, ExampleFailedError):
        raise Http404 from None
    cards = with_reasons(assets_by_id(user=user, ids=[pk for pk, _ in found]), reading=None)
    return render(request, "library/example.html", {"section": "library", "cards": cards})
