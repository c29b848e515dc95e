"""The leaderboard as a static site: pages that open from disk, without network or server."""

from xqr_bench.board.site.build import MorePage, build_site, read_json
from xqr_bench.board.site.explore import explorer, texts_at_hand
from xqr_bench.board.site.questions import question_values

__all__ = ["MorePage", "build_site", "explorer", "question_values", "read_json", "texts_at_hand"]
