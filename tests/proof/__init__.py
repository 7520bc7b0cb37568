"""The proof: km-cli is disturbed in every way that we can think of, and nothing is lost and nothing is twice.

`python -m tests.proof` runs it. A kind of proof is a module with a `PROOF` (`base.py`) whose name stands in
`registry.py`.
"""
