"""Types of fields that files of others are read into."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from xqr_bench.core.printable import REPLACEMENT

OneLine = Annotated[str, AfterValidator(lambda text: text.replace("\n", REPLACEMENT))]
"""A name, a warning, a note: it stands in the lines of reports, where a line of its own would look like one of ours."""
