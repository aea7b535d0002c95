"""The tests of the image and of compose want a Docker engine: `make test-image` alone runs them."""

import os

collect_ignore = (
    [] if os.environ.get("JIESHUI_TEST_IMAGE") else ["test_compose.py", "test_image.py"]
)
