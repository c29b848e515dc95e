"""PerQuery -> intervals and tests; every random draw takes an explicit generator.

The question is the unit of sampling (an id shared by its translations); the article is the conservative one.

    units      sampling_units(ranks): questions and articles
    panel      panel(values, units): one metric in one setting as questions x cells
    contrasts  Contrasts: figures as weights over cells (macro, a language, a pair, a group, a gap)
    bootstrap  intervals of one record; linear: standard errors, t, article intervals
    paired     paired(pairs, units, generator): two records; multiple: Holm, Benjamini & Hochberg, max-T
    tukey      more than two records; letters: compact letter display
    languages  worst language and spread; power: smallest detectable difference; order_test: language_order_w
"""
