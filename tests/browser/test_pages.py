"""The dashboard in a real browser: every page, both languages, wide and narrow."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PATHS = {
    "home": "/",
    "users": "/users",
    "user": "/users/U003",
    "zones": "/zones",
    "zone": "/zones/Z2",
    "alerts": "/alerts",
    "alert": "/alerts/1",
    "ingest": "/ingest",
}


def keep_screenshot(visitor, name):
    """Where JIESHUI_SCREENSHOTS names a folder, the page is kept there for people to look at."""
    folder = os.environ.get("JIESHUI_SCREENSHOTS")
    if folder:
        visitor.page.wait_for_timeout(700)
        visitor.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_fits_its_window_and_asks_nobody_else(open_tab, language, width):
    visitor = open_tab(width)
    visitor.log_in()
    visitor.wait()
    visitor.page.goto(f"{visitor.origin}/language/{language}")
    for name, path in PATHS.items():
        visitor.open(path)
        keep_screenshot(visitor, f"{name}-{language}-{width}")
        assert visitor.overflow() == 0, path
        heading = visitor.page.locator(".js-panel").first.inner_text()
        assert any("一" <= sign <= "鿿" for sign in heading) or language == "en", path
    assert visitor.complaints == []
    assert visitor.hosts == {visitor.origin}
