"""Benchmarks of torchscript-build against what people use today; ``python -m tests.benchmarks`` runs them."""
