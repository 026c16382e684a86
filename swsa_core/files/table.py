"""What a CSV table of the results is: its name, its columns in order, and which of them hold text."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swsa_core.basics.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table of the results. Columns are named in one string, with spaces between; those not in `numbers` hold text.

    Text is "" where there is nothing. Numbers, and truth values, are NaN there.

    >>> Table("ranking", "candidate auroc n_tasks", numbers="auroc n_tasks").text
    ['candidate']
    """

    name: str
    names: str
    numbers: str = ""

    def __post_init__(self):
        if unknown := set(self.numbers.split()) - set(self.columns):
            raise ValueError(f"table {self.name}: the numbers {sorted(unknown)} are not among its columns")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"table {self.name} has a column twice: {self.columns}")

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of the file."""
        return self.names.split()

    @property
    def text(self) -> list[str]:
        """Names of the columns that hold text."""
        numbers = self.numbers.split()
        return [column for column in self.columns if column not in numbers]

    def write(self, path: Path | str, frame: "pd.DataFrame") -> None:
        """Write `frame` as CSV, its columns in the order of the table. Raises ValueError where it has others."""
        # it imports pandas, which what the Snakefile reads does without
        from swsa_core.files.text import write_table

        if problem := self._problem(frame.columns):
            raise ValueError(f"{path} is not written as table {self.name}: {problem}")
        write_table(path, frame, self.columns)

    def read(self, path: Path | str) -> "pd.DataFrame":
        """The table as it was written: floats bit for bit, text as str ("" where empty), columns in their order.

        Raises InputError that names the file where it cannot be read or has other columns.
        """
        from swsa_core.files.text import read_table

        frame = read_table(path, text=self.text)
        if problem := self._problem(frame.columns):
            raise InputError(
                f"{path} does not hold the table {self.name}: {problem}; if another version of SWSA wrote it, "
                "move it away and run again"
            )
        return frame[self.columns]

    def _problem(self, columns: Iterable[str]) -> str:
        columns = list(columns)
        missing = [column for column in self.columns if column not in columns]
        unknown = [column for column in columns if column not in self.columns]
        found = {"it lacks the columns": missing, "it has the unknown columns": unknown}
        return " and ".join(f"{what} {names}" for what, names in found.items() if names)
