"""From a folder of runs to `ratios.json`: what docs/ratio-study-plan.md promises to report.

build      the whole: conditions, checkpoints, raw and centred
scores     which scores are drawn again, and their figures for all arms
claims     the claims of the paper, by a stated rule
contrasts  control arms; centring; differences by language
medians    the runs of the main arms that go to the leaderboard
"""
