"""Everything that an installation keeps, in a form that no kind of store is bound to."""

from jieshui.backup.restoring import restore_backup
from jieshui.backup.taking import take_backup

__all__ = ["restore_backup", "take_backup"]
