"""`python -m evaluation.speed`."""

from evaluation.speed.command import main

main()
