"""What an import says: what it wrote, or everything that stopped it."""

from dataclasses import asdict, dataclass, field
from typing import Any


class RegistryError(ValueError):
    """What was asked can't be done; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at one place.

    Attributes:
        place: the file, and the sheet within a workbook.
        row: the row (a line of a CSV file), from 1; None = the table as a whole.
        column: the column's name; "" = the row as a whole.
        value: what stands there.
        wanted: what should.
        warning: whether it is only worth a look; anything else stops the import.
    """

    place: str
    row: int | None
    column: str
    value: str
    wanted: str
    warning: bool = False

    def __str__(self) -> str:
        """One line: where, what stands there, what is wanted."""
        where = [self.place]
        where += [f"row {self.row}"] if self.row is not None else []
        where += [f"column {self.column}"] if self.column else []
        found = f"{self.value!r}: " if self.column or self.value else ""
        return f"{', '.join(where)}: {found}{self.wanted}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one kind; a re-import of the same file is all `unchanged`."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of an import.

    `counts` (by kind, in the order written) is empty when anything is wrong: nothing was written.
    """

    source: str
    counts: dict[str, Counts] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What stopped the import, in the order of the files."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is worth a look."""
        return tuple(problem for problem in self.problems if problem.warning)

    @property
    def imported(self) -> bool:
        """Whether the rows are in the registry now."""
        return not self.errors

    def as_rows(self) -> dict[str, Any]:
        """The report for a script: `counts` a row a kind, `problems` a row each."""
        return {
            "source": self.source,
            "imported": self.imported,
            "counts": [{"kind": kind} | asdict(counts) for kind, counts in self.counts.items()],
            "problems": [asdict(problem) for problem in self.problems],
        }
