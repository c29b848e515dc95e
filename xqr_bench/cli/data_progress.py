"""A bar for downloads, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from xqr_bench.cli.printing import console, text_column

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class DownloadBar:
    """One line per downloaded file: `with DownloadBar() as bar: load_task(..., progress=bar)`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None

    def __enter__(self) -> DownloadBar:
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            text_column("{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console(err=True),
            disable=self._quiet,
        )
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, stage: str, name: str, done: int, total: int | None) -> None:
        """Move the file's bar (see `xqr_bench.data.Progress`); stages other than "download" draw nothing."""
        if self._progress is None or stage != "download":
            return
        if name not in self._bars:
            self._bars[name] = self._progress.add_task("/".join(name.split("/")[-2:]), total=total)
        self._progress.update(self._bars[name], completed=done, total=total)
