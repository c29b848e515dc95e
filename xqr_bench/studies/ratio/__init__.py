"""The ratio study: conditions x arms x seeds of `train`, scored by the benchmark's parts; what follows from them.

design      conditions, arms, runs with stable ids
sweep       does the runs that are missing in a folder, in several processes
results     a folder of runs -> sums by setting cell and article, for all arms and seeds
statistics  two-way bootstrap over seeds and articles, t over seeds, the primary tests
form        what ratios.json holds
findings    results -> ratios.json: tests, scores of all arms, claims, controls, centring, median seeds
tables, plots, page    ratios.json -> what is read
"""
