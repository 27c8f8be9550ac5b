"""A real browser for tests: Debian's Chromium, driven by Playwright, one process for the whole session.

Named in ``addopts`` or ``pytest_plugins``. A page that ``browser_context`` makes must not log an error while
the test runs; a test that provokes one says so with ``console.expect``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect, sync_playwright

# Playwright's own browsers are downloads; ours comes from the system's packages. The flags keep a headless
# Chromium quiet: no sandbox (tests run as root in CI), no calls home.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
TIMEOUT_MS = 30_000
"""For every wait of a test: waits are for conditions, so a slow machine only needs longer."""


@dataclass
class Console:
    """What the pages of one test complained about."""

    complaints: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Complaints that match belong to the test."""
        self.expected.append(re.compile(pattern))

    def watch(self, page: Page) -> None:
        """Collect the complaints of a page."""
        page.on("console", self._on_message)
        page.on("pageerror", self._on_error)

    def unexpected(self) -> list[str]:
        """What no test asked for."""
        return [text for text in self.complaints if not any(p.search(text) for p in self.expected)]

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_error(self, error: Error) -> None:
        self.complaints.append(f"exception: {error}")


def _executable() -> str | None:
    return os.environ.get("VITRINE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Without one the test is skipped, or fails where REQUIRE_SERVICES asks for it."""
    executable = _executable()
    if executable is None:
        reason = "no Chromium on this machine (Debian: apt-get install chromium; or set VITRINE_CHROMIUM)"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=TIMEOUT_MS)
    # Playwright runs an event loop in this thread, which Django takes for an asynchronous caller and refuses
    # the database to; nothing here is awaited while a query runs.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
            yield chromium
            chromium.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def console() -> Console:
    """The complaints of this test's pages."""
    return Console()


@pytest.fixture
def browser_context(browser: Browser, console: Console) -> Iterator[BrowserContext]:
    """A fresh profile at 1440 × 900; afterwards, no page may have complained."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(TIMEOUT_MS)
    context.on("page", console.watch)
    yield context
    context.close()
    assert console.unexpected() == []


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    """One empty page."""
    return browser_context.new_page()
