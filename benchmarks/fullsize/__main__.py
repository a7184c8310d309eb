"""python -m benchmarks.fullsize MODEL"""

import typer

from benchmarks.fullsize.command import main

if __name__ == "__main__":
    typer.run(main)
