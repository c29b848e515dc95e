"""What the ratio study found, as figures: `ratios.json`, its tables and its words.

model    the form of `ratios.json`, read and written
curves   a score against the ratio, with its band
tables   the figures as tables, for a terminal, Markdown and the page
words    what was found, in sentences
"""
