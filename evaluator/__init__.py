"""What distrusts the results: strict readers, recomputed scores, the arbiter's decision and its report."""
