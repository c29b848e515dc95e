"""What the ratio study found, as figures: `ratios.json`, its tables and its words.

model    the form of `ratios.json`, read and written
tables   the figures as tables, for a terminal, Markdown and the page
"""
