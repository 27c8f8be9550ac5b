"""axe-core, the accessibility checker, in the browser's page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_SETTLED = "() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)))"
SERIOUS = {"serious", "critical"}


def serious_faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical on the page as it stands, a line each; waits for animations."""
    page.evaluate(_SETTLED)
    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{fault['id']}: {fault['help']}: {node['target']}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]
