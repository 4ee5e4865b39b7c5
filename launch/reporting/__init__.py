"""Human-readable results of runs: report/ and comparisons."""
