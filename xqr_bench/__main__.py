"""`python -m xqr_bench` is `xqr-bench`."""

from xqr_bench.cli.main import main

if __name__ == "__main__":
    main()
