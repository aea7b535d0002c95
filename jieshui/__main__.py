"""`python -m jieshui` is the command line."""

from jieshui.main import run

run()
