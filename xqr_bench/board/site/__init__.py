"""The leaderboard as a static site: pages that open from disk, without network or server."""

from xqr_bench.board.site.build import MorePage, build_site, read_json

__all__ = ["MorePage", "build_site", "read_json"]
