"""PerQuery -> tests and intervals; every random draw takes an explicit generator."""
