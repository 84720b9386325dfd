"""`python -m beffroi`."""

from beffroi.cli.main import main

main()
