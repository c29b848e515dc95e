"""Where a run writes: an unfinished folder beside the output, moved into its place when all is done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from xqr_bench import strict_json
from xqr_bench.errors import UsageError, XqrBenchError
from xqr_bench.files import write_text

UNFINISHED = ".unfinished"


class Workspace:
    """The folders of one run.

    `<output>.unfinished/` holds `run.json` (what the run was asked for), `<stage>/checkpoint-<update>/` to resume
    from, and `model/`, which becomes the output.

    Args:
        output: folder of the model.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(output.name + UNFINISHED)
        self.model = self.folder / "model"

    def check(self, *, resume: bool) -> None:
        """Refuse a place that is taken.

        Raises:
            UsageError: the output exists, or an unfinished run of it that is not to be resumed.
        """
        if self.output.exists():
            raise UsageError(
                f"the output folder {self.output} exists", remedy="name another with --output, or remove it first"
            )
        if self.folder.exists() and not resume:
            raise UsageError(
                f"{self.folder} holds an unfinished run of this output",
                remedy="give --resume to go on with it, or remove the folder",
            )

    def begin(self, asked: dict[str, Any]) -> bool:
        """Make the folder, or check that the run in it was asked for the same.

        Args:
            asked: all that the weights depend on, as JSON values.

        Returns:
            whether there is an unfinished run to go on with.

        Raises:
            UsageError: the unfinished run was asked for something else.
            XqrBenchError: the folder cannot be made.
        """
        asked = json.loads(json.dumps(asked))
        try:
            before = strict_json.read(self.folder / "run.json")
        except FileNotFoundError:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise XqrBenchError(
                    f"cannot make the folder {self.folder}: {error.strerror or error}",
                    remedy="name an --output in a folder that can be written",
                ) from error
            write_text(self.folder / "run.json", json.dumps(asked, indent=1) + "\n")
            return False
        except ValueError:
            before = {}
        changed = sorted(name for name in {*before, *asked} if before.get(name) != asked.get(name))
        if changed:
            raise UsageError(
                f"the unfinished run in {self.folder} was asked for something else",
                found="; ".join(f"{name}: {before.get(name)} then, {asked.get(name)} now" for name in changed),
                remedy="resume it with the same arguments, or remove the folder",
            )
        return True

    def finish(self) -> Path:
        """Move the model into its place and remove the rest."""
        if self.output.exists():
            raise XqrBenchError(
                f"the output folder {self.output} was made while the run went on",
                found=f"the model is in {self.model}",
                remedy="move it by hand",
            )
        self.model.replace(self.output)
        shutil.rmtree(self.folder)
        return self.output


def complete_checkpoint(folder: Path, processes: int) -> Path | None:
    """The latest checkpoint of a stage that all processes have written whole; None where there is none.

    Later ones, half-written when the run was killed, are removed.
    """
    from xqr_bench.train.callbacks import marker

    found = sorted(
        (path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdecimal()),
        key=lambda path: int(path.name.removeprefix("checkpoint-")),
    )
    while found and not all(marker(found[-1], process).is_file() for process in range(processes)):
        shutil.rmtree(found.pop())
    return found[-1] if found else None
