"""python -m benchmarks.reality"""

import typer

from benchmarks.reality.command import main

if __name__ == "__main__":
    typer.run(main)
